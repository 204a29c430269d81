/* delta: differences of an order between lanes a lag apart, modulo 2^width. See spec.md. */
#include "../abi.h"

#define DEFINE(T)                                                                          \
  static void difference_##T(const T *restrict in, T *restrict out, u32 n, u32 lag,        \
                             u32 order) {                                                  \
    u32 head = lag < n ? lag : n;                                                          \
    for (u32 i = 0; i < head; i++) out[i] = in[i];                                         \
    for (u32 i = lag; i < n; i++) out[i] = (T)(in[i] - in[i - lag]);                       \
    /* Later passes run in place, last lane first, so that each reads values of its own    \
     * pass's input. */                                                                    \
    while (--order > 0)                                                                    \
      for (u32 i = n; i > lag; i--) out[i - 1] = (T)(out[i - 1] - out[i - 1 - lag]);       \
  }                                                                                        \
  static void sum_##T(const T *restrict in, T *restrict out, u32 n, u32 lag, u32 order) {  \
    u32 head = lag < n ? lag : n;                                                          \
    for (u32 i = 0; i < head; i++) out[i] = in[i];                                         \
    for (u32 i = lag; i < n; i++) out[i] = (T)(in[i] + out[i - lag]);                      \
    while (--order > 0)                                                                    \
      for (u32 i = lag; i < n; i++) out[i] = (T)(out[i] + out[i - lag]);                   \
  }

DEFINE(u8)
DEFINE(u16)
DEFINE(u32)
DEFINE(u64)

#define RUN(T)                                                                             \
  do {                                                                                     \
    u32 n = call->in[0].len / (u32)sizeof(T);                                              \
    if (call->inverse)                                                                     \
      sum_##T(in_at(call, 0), out_at(call, 0), n, lag, order);                             \
    else                                                                                   \
      difference_##T(in_at(call, 0), out_at(call, 0), n, lag, order);                      \
  } while (0)

static u32 work(Call *call) {
  u32 width, order, lag;
  if (!take_width(call, 1 | 2 | 4 | 8, &width) || !take_uint(call, 1, 8, &order) ||
      !take_uint(call, 1, 65536, &lag) || !no_more_parameters(call))
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
