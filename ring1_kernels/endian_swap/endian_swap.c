/* endian_swap: the bytes of every lane reversed; its own inverse. See spec.md. */
#include "../abi.h"

#define DEFINE(T, swap)                                                                 \
  static void swap_##T(const T *restrict in, T *restrict out, u32 n) {                  \
    for (u32 i = 0; i < n; i++) out[i] = swap(in[i]);                                   \
  }

DEFINE(u16, __builtin_bswap16)
DEFINE(u32, __builtin_bswap32)
DEFINE(u64, __builtin_bswap64)

static u32 work(Call *call) {
  u32 width;
  if (!take_width(call, 2 | 4 | 8, &width) || !no_more_parameters(call)) return BAD_PARAMETER;
  u32 refusal = same_length(call, width);
  if (refusal != DONE || call->bound) return refusal;
  u32 n = call->in[0].len / width;
  switch (width) {
    case 2: swap_u16(in_at(call, 0), out_at(call, 0), n); break;
    case 4: swap_u32(in_at(call, 0), out_at(call, 0), n); break;
    default: swap_u64(in_at(call, 0), out_at(call, 0), n); break;
  }
  return DONE;
}
