/* gray: binary numbers to the reflected Gray code and back. See spec.md. */
#include "../abi.h"

#define DEFINE(T)                                                                       \
  static void encode_##T(const T *restrict in, T *restrict out, u32 n) {                \
    for (u32 i = 0; i < n; i++) out[i] = (T)(in[i] ^ (in[i] >> 1));                     \
  }                                                                                     \
  static void decode_##T(const T *restrict in, T *restrict out, u32 n) {                \
    for (u32 i = 0; i < n; i++) {                                                       \
      T code = in[i];                                                                   \
      /* Each bit becomes the xor of itself and all higher ones, by doubling. */        \
      for (u32 shift = 1; shift < 8 * sizeof(T); shift *= 2) code ^= (T)(code >> shift);\
      out[i] = code;                                                                    \
    }                                                                                   \
  }

DEFINE(u8)
DEFINE(u16)
DEFINE(u32)
DEFINE(u64)

#define RUN(T)                                                                          \
  do {                                                                                  \
    u32 n = call->in[0].len / (u32)sizeof(T);                                           \
    if (call->inverse)                                                                  \
      decode_##T(in_at(call, 0), out_at(call, 0), n);                                   \
    else                                                                                \
      encode_##T(in_at(call, 0), out_at(call, 0), n);                                   \
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
