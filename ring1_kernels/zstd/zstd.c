/* zstd: Zstandard frames (RFC 8878), decoded strictly and encoded simply. See spec.md. */
#include "../abi.h"
#include "format.h"
#include "decode.h"
#include "encode.h"

static u32 work(Call *call) {
  if (!no_more_parameters(call)) return BAD_PARAMETER;
  if (call->n_in != 1 || call->n_out != 1) return CALL_SHAPE;
  return call->inverse ? decode(call) : encode(call);
}
