/* lz_mix: repeats followed byte by byte, all else coded by mixed contexts. See spec.md. */
#include "../abi.h"
#include "../codec.h"
#include "mix.h"
#include "range.h"
#include "model.h"
#include "stream.h"

static u32 work(Call *call) {
  if (!no_more_parameters(call)) return BAD_PARAMETER;
  if (call->n_in != 1 || call->n_out != 1) return CALL_SHAPE;
  return call->inverse ? decode(call) : encode(call);
}
