/* zigzag: the sign moves from the top bit to the lowest. See spec.md. */
#include "../abi.h"

/* `sign` is all ones for a negative lane: written so that no shift of a negative number occurs. */
#define DEFINE(T)                                                                       \
  static void fold_##T(const T *restrict in, T *restrict out, u32 n) {                  \
    for (u32 i = 0; i < n; i++) {                                                       \
      T sign = (T)(0 - (in[i] >> (8 * sizeof(T) - 1)));                                 \
      out[i] = (T)((T)(in[i] << 1) ^ sign);                                             \
    }                                                                                   \
  }                                                                                     \
  static void unfold_##T(const T *restrict in, T *restrict out, u32 n) {                \
    for (u32 i = 0; i < n; i++) out[i] = (T)((in[i] >> 1) ^ (T)(0 - (in[i] & 1)));      \
  }

DEFINE(u8)
DEFINE(u16)
DEFINE(u32)
DEFINE(u64)

#define RUN(T)                                                                          \
  do {                                                                                  \
    u32 n = call->in[0].len / (u32)sizeof(T);                                           \
    if (call->inverse)                                                                  \
      unfold_##T(in_at(call, 0), out_at(call, 0), n);                                   \
    else                                                                                \
      fold_##T(in_at(call, 0), out_at(call, 0), n);                                     \
  } while (0)

static u32 work(Call *call) {
  u32 width;
  if (!take_width(call, 1 | 2 | 4 | 8, &width) || !no_more_parameters(call))
    return BAD_PARAMETER;
  u32 refusal = same_length(call, width);
  if (refusal != DONE || call->bound) return refusal;
  switch (width) {
    case 1: RUN(u8); break;
    case 2: RUN(u16); break;
    case 4: RUN(u32); break;
    default: RUN(u64); break;
  }
  return DONE;
}
