/* rans1: lanes under the lanes before them, by sixteen range asymmetric numeral systems (Duda) at
 * once. See spec.md. */
#include "format.h"
#include "decode.h"
/* Coding has time: its loops stay loops, or the module were half as large again. */
#pragma clang attribute push(__attribute__((minsize)), apply_to = function)
#include "encode.h"
#pragma clang attribute pop

static u32 work(Call *call) {
  u32 width, lag;
  if (!take_width(call, 1 | 2 | 4 | 8, &width) || !take_uint(call, 0, 65535, &lag) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  if (call->n_in != 1 || call->n_out != 1) return CALL_SHAPE;
  return call->inverse ? decode(call, width, lag) : encode(call, width, lag);
}
