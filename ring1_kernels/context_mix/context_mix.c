/* context_mix: text predicted from many contexts at once, mixed and arithmetic coded. See spec.md. */
#include "../abi.h"
#include "../logistic.h"
#include "../bit_coder.h"

enum { CONTEXTS = 12, VECTORS = 4, SELECTORS = 3, SETS = 2048, LAST_SETS = 256, HASTE = 7 };

#include "../mixer.h"
#include "../refiner.h"
#include "../match.h"
#include "history.h"
#include "text.h"
#include "model.h"
#include "contexts.h"
#include "predict.h"
#include "../halves.h"
#include "flag.h"
#include "../mixed_stream.h"

static u32 work(Call *call) {
  if (!no_more_parameters(call)) return BAD_PARAMETER;
  if (call->n_in != 1 || call->n_out != 1) return CALL_SHAPE;
  const Settings none = {0};
  return call->inverse ? decode(call, &none) : encode(call, &none);
}
