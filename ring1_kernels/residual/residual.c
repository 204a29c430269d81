/* residual: adaptive coding of residuals by range asymmetric numeral systems, in contexts of how
 * large their neighbours are. See spec.md. */
#include "../abi.h"
#include "decode.h"
#include "encode.h"

static u32 work(Call *call) {
  u32 width, row, channels;
  if (!take_width(call, 1 | 2 | 4 | 8, &width) || !take_uint(call, 0, 1 << 24, &row) ||
      !take_uint(call, 1, 64, &channels) || !no_more_parameters(call))
    return BAD_PARAMETER;
  if (call->n_in != 1 || call->n_out != 1) return CALL_SHAPE;
  return call->inverse ? decode(call, width, row, channels) : encode(call, width, row, channels);
}
