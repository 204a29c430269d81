/* record_mix: bytes of records predicted from the records around, mixed and coded. See spec.md. */
#include "../abi.h"
#include "../logistic.h"
#include "../bit_coder.h"

enum { CONTEXTS = 8, VECTORS = 3, SELECTORS = 3, SETS = 2048, LAST_SETS = 2048, HASTE = 4 };

#include "../mixer.h"
#include "../refiner.h"
#include "../match.h"
#include "slots.h"
#include "model.h"
#include "predict.h"
#include "../halves.h"

static inline u32 code_next(Model *m, u32 byte) { return code_byte(m, byte); }

#include "../mixed_stream.h"

static u32 work(Call *call) {
  Settings settings;
  if (!take_uint(call, 1, 4096, &settings.record) ||
      !take_uint(call, 0, 1 << 20, &settings.row) || !no_more_parameters(call))
    return BAD_PARAMETER;
  if (call->n_in != 1 || call->n_out != 1) return CALL_SHAPE;
  return call->inverse ? decode(call, &settings) : encode(call, &settings);
}
