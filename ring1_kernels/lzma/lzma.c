/* lzma: LZMA2 streams, decoded strictly and encoded simply. See spec.md. */
#include "../abi.h"
#include "chunk.h"
#include "decode.h"
#include "encode.h"

static u32 work(Call *call) {
  u32 width;
  if (!take_width(call, 1 | 2 | 4 | 8, &width) || !no_more_parameters(call)) return BAD_PARAMETER;
  if (call->n_in != 1 || call->n_out != 1) return CALL_SHAPE;
  return call->inverse ? decode(call, width) : encode(call, width);
}
