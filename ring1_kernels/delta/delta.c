/* delta: differences of an order between lanes a lag apart, modulo 2^width. See spec.md. */
#include "../abi.h"

typedef u16 Lanes_u16 __attribute__((vector_size(16), aligned(1)));
typedef u32 Lanes_u32 __attribute__((vector_size(16), aligned(1)));
typedef u64 Lanes_u64 __attribute__((vector_size(16), aligned(1)));
typedef Bytes Lanes_u8;

#define PER_VECTOR(T) (16 / (u32)sizeof(T))

/* Any lag. The first pass goes from `in` to `out`, the others in place: differences from the last
 * lane to the first and sums from the first to the last, so that each lane meets the one a lag
 * before it in the state that it needs. */
#define DEFINE(T)                                                                          \
  static void difference_##T(const T *restrict in, T *restrict out, u32 n, u32 lag,        \
                             u32 order) {                                                  \
    u32 head = lag < n ? lag : n;                                                          \
    for (u32 i = 0; i < head; i++) out[i] = in[i];                                         \
    for (u32 i = lag; i < n; i++) out[i] = (T)(in[i] - in[i - lag]);                       \
    while (--order > 0) {                                                                  \
      u32 i = n;                                                                           \
      for (; i >= lag + PER_VECTOR(T); i -= PER_VECTOR(T)) {                               \
        Lanes_##T *at = (Lanes_##T *)(out + i - PER_VECTOR(T));                            \
        *at -= *(const Lanes_##T *)(out + i - PER_VECTOR(T) - lag);                        \
      }                                                                                    \
      for (; i > lag; i--) out[i - 1] = (T)(out[i - 1] - out[i - 1 - lag]);                \
    }                                                                                      \
  }                                                                                        \
  static void sum_##T(const T *in, T *out, u32 n, u32 lag, u32 order) {                    \
    u32 head = lag < n ? lag : n;                                                          \
    for (u32 i = 0; i < head; i++) out[i] = in[i];                                         \
    const T *from = in;                                                                    \
    for (; order > 0; order--, from = out) {                                               \
      u32 i = head;                                                                        \
      for (; lag >= PER_VECTOR(T) && n - i >= PER_VECTOR(T); i += PER_VECTOR(T))           \
        *(Lanes_##T *)(out + i) =                                                          \
            *(const Lanes_##T *)(from + i) + *(const Lanes_##T *)(out + i - lag);          \
      for (; i < n; i++) out[i] = (T)(from[i] + out[i - lag]);                             \
    }                                                                                      \
  }

DEFINE(u8)
DEFINE(u16)
DEFINE(u32)
DEFINE(u64)

/* Sums with a lag shorter than a vector, where lane by lane each would wait for the one before.
 * Within a vector they are made by doubling: add the vector moved up by the lag, by twice the lag,
 * and so on. What the vectors before contribute is the last `lag` lanes of the last, repeated. */
#define FROM(up, i) ((up) < 16 ? 16 - (up) + (i) : 0)
#define MOVED(v, up)                                                                        \
  __builtin_shufflevector((Bytes){}, (Bytes)(v), FROM(up, 0), FROM(up, 1), FROM(up, 2),     \
                          FROM(up, 3), FROM(up, 4), FROM(up, 5), FROM(up, 6), FROM(up, 7),  \
                          FROM(up, 8), FROM(up, 9), FROM(up, 10), FROM(up, 11),             \
                          FROM(up, 12), FROM(up, 13), FROM(up, 14), FROM(up, 15))
#define LAST(i, bytes) (16 - (bytes) + (i) % (bytes))
#define REPEATED(v, bytes)                                                                  \
  __builtin_shufflevector((Bytes)(v), (Bytes)(v), LAST(0, bytes), LAST(1, bytes),           \
                          LAST(2, bytes), LAST(3, bytes), LAST(4, bytes), LAST(5, bytes),   \
                          LAST(6, bytes), LAST(7, bytes), LAST(8, bytes), LAST(9, bytes),   \
                          LAST(10, bytes), LAST(11, bytes), LAST(12, bytes),                \
                          LAST(13, bytes), LAST(14, bytes), LAST(15, bytes))

/* So many vectors stay in the nearest cache while every order passes over them. */
enum { BLOCK = 256 };

#define DEFINE_NEAR(T, lag)                                                                 \
  static Bytes near_sum_##T##_##lag(Bytes bytes, Bytes carry) {                             \
    enum { up = lag * sizeof(T) };                                                          \
    Lanes_##T v = (Lanes_##T)bytes;                                                         \
    v += (Lanes_##T)MOVED(v, up);                                                           \
    if (2 * up < 16) v += (Lanes_##T)MOVED(v, 2 * up);                                      \
    if (4 * up < 16) v += (Lanes_##T)MOVED(v, 4 * up);                                      \
    if (8 * up < 16) v += (Lanes_##T)MOVED(v, 8 * up);                                      \
    return (Bytes)(v + (Lanes_##T)REPEATED(carry, up));                                     \
  }                                                                                         \
  static void near_sums_##T##_##lag(const u8 *restrict in, u8 *restrict out, u32 length,    \
                                    u32 order) {                                            \
    Bytes carry[8] = {};                                                                    \
    u32 at = 0;                                                                             \
    while (length - at >= 16) {                                                             \
      u32 left = (length - at) / 16, vectors = left < BLOCK ? left : BLOCK;                 \
      for (u32 pass = 0; pass < order; pass++) {                                            \
        const Bytes *from = (const Bytes *)((pass == 0 ? in : out) + at);                   \
        Bytes *to = (Bytes *)(out + at), last = carry[pass];                                \
        for (u32 i = 0; i < vectors; i++) to[i] = last = near_sum_##T##_##lag(from[i], last);\
        carry[pass] = last;                                                                 \
      }                                                                                     \
      at += 16 * vectors;                                                                   \
    }                                                                                       \
    if (at == length) return;                                                               \
    u8 tail[16] = {};                                                                       \
    for (u32 i = 0; i < length - at; i++) tail[i] = in[at + i];                             \
    Bytes v = *(Bytes *)tail;                                                               \
    for (u32 pass = 0; pass < order; pass++) v = near_sum_##T##_##lag(v, carry[pass]);      \
    *(Bytes *)tail = v;                                                                     \
    for (u32 i = 0; i < length - at; i++) out[at + i] = tail[i];                            \
  }

DEFINE_NEAR(u8, 1)
DEFINE_NEAR(u8, 2)
DEFINE_NEAR(u8, 3)
DEFINE_NEAR(u8, 4)
DEFINE_NEAR(u16, 1)
DEFINE_NEAR(u16, 2)
DEFINE_NEAR(u16, 3)
DEFINE_NEAR(u16, 4)
DEFINE_NEAR(u32, 1)
DEFINE_NEAR(u32, 2)
DEFINE_NEAR(u32, 3)
DEFINE_NEAR(u64, 1)

#define NEAR(T, lag) \
  case 8 * sizeof(T) + lag: near_sums_##T##_##lag(in, out, length, order); return true

/* The sums of those lags that have a way of their own. */
static bool near_sums(const u8 *in, u8 *out, u32 length, u32 width, u32 lag, u32 order) {
  if (lag > 4) return false;
  switch (8 * width + lag) {
    NEAR(u8, 1);
    NEAR(u8, 2);
    NEAR(u8, 3);
    NEAR(u8, 4);
    NEAR(u16, 1);
    NEAR(u16, 2);
    NEAR(u16, 3);
    NEAR(u16, 4);
    NEAR(u32, 1);
    NEAR(u32, 2);
    NEAR(u32, 3);
    NEAR(u64, 1);
    default: return false;
  }
}

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
  if (call->inverse &&
      near_sums(in_at(call, 0), out_at(call, 0), call->in[0].len, width, lag, order))
    return DONE;
  switch (width) {
    case 1: RUN(u8); break;
    case 2: RUN(u16); break;
    case 4: RUN(u32); break;
    default: RUN(u64); break;
  }
  return DONE;
}
