/* hilbert_lift: every frequency turned by 90 degrees, in whole numbers, by three lifting steps. See
 * spec.md. */
#include "../lanes.h"

enum { ZERO, PERIODIC, REFLECT, CAUSAL };
enum { MAX_TAPS = 16, SHIFT = 14, ROUNDING = 1 << (SHIFT - 1) };

/* By `order`: 2, 4, 8 or 16 taps, times 2^14. */
static const i16 TAPS[4][MAX_TAPS] = {
    {9291, 1103},
    {10022, 2405, 704, 135},
    {10324, 3169, 1606, 883, 475, 235, 101, 34},
    {10404, 3398, 1957, 1314, 940, 692, 514, 381, 280, 203, 143, 98, 65, 40, 23, 15},
};

/* A stream of every other lane in the scratch, with room for what stands past its ends: MAX_TAPS
 * lanes on either side, and what a whole vector may read and write past the last. */
enum { MARGIN = MAX_TAPS, SLACK = MAX_TAPS + 8 };

static inline u32 stream_length(u32 count, u32 width) {
  return ((MARGIN + count + SLACK) * width + 15) & ~15u;
}

/* Where the lane at `at`, which is past an end, is read from; never called on an empty stream. */
static inline i32 source(i32 at, i32 count, u32 edge) {
  if (edge == PERIODIC) return (at % count + count) % count;
  i32 period = 2 * count, place = (at % period + period) % period;
  return place < count ? place : period - 1 - place;
}

/* Eight lanes at once, and the factors and sums of their products: factors of 16 or 32 bits, whose
 * products the engine makes twice as wide at once. */
typedef i16 Factors16 __attribute__((vector_size(16)));
typedef i32 Factors32 __attribute__((vector_size(32)));
typedef i32 Sums32 __attribute__((vector_size(32)));
typedef i64 Sums64 __attribute__((vector_size(64)));
typedef i8 Eight_u8 __attribute__((vector_size(8), aligned(1)));
typedef i16 Eight_u16 __attribute__((vector_size(16), aligned(1)));
typedef i32 Eight_u32 __attribute__((vector_size(32), aligned(1)));

#define DEFINE(T, Factors, Sums)                                                                \
  static void fill_margins_##T(T *stream, u32 count, u32 taps, u32 edge) {                      \
    for (i32 k = 0; k < (i32)taps; k++) {                                                       \
      i32 last = (i32)count + k, first = -1 - k;                                                \
      bool empty = count == 0 || edge == ZERO;                                                  \
      stream[first] = empty || edge == CAUSAL ? 0 : stream[source(first, (i32)count, edge)];    \
      stream[last] = empty            ? 0                                                       \
                     : edge == CAUSAL ? stream[count - 1]                                       \
                                      : stream[source(last, (i32)count, edge)];                 \
    }                                                                                           \
  }                                                                                             \
  /* Adds to each lane of `to`, or takes from it, what the taps make of the lanes around it:    \
   * `before` is where the nearest of those before stands, `after` the nearest after. */        \
  static void step_##T(T *restrict to, const T *restrict before, const T *restrict after,       \
                       u32 count, const i16 *taps, u32 n_taps, bool add) {                      \
    for (u32 i = 0; i < count; i += 8) {                                                        \
      Sums sum = (Sums){} + ROUNDING;                                                           \
      for (u32 k = 0; k < n_taps; k++) {                                                        \
        Eight_##T apart = *(const Eight_##T *)(before + i - k) -                                \
                          *(const Eight_##T *)(after + i + k);                                  \
        Factors factor = (Factors){} + taps[k];                                                 \
        sum += __builtin_convertvector(__builtin_convertvector(apart, Factors), Sums) *         \
               __builtin_convertvector(factor, Sums);                                           \
      }                                                                                         \
      Eight_##T turned = __builtin_convertvector(sum >> SHIFT, Eight_##T);                      \
      *(Eight_##T *)(to + i) += add ? turned : -turned;                                         \
    }                                                                                           \
  }                                                                                             \
  static void turn_##T(const T *restrict x, u32 n, T *restrict y, u8 *scratch, u32 order,       \
                       u32 edge, bool back) {                                                   \
    u32 odds = n / 2, evens = n - odds, n_taps = 1u << order;                                   \
    const i16 *taps = TAPS[order - 1];                                                          \
    T *even = (T *)scratch + MARGIN;                                                            \
    T *odd = (T *)(scratch + stream_length(evens, sizeof(T))) + MARGIN;                         \
    for (u32 i = 0; i < odds; i++) {                                                            \
      even[i] = x[2 * i];                                                                       \
      odd[i] = x[2 * i + 1];                                                                    \
    }                                                                                           \
    if (evens > odds) even[odds] = x[n - 1];                                                    \
    /* Forward and back differ by their signs only. */                                          \
    for (u32 turn = 0; turn < 3; turn++) {                                                      \
      if (turn == 1) {                                                                          \
        fill_margins_##T(even, evens, n_taps, edge);                                            \
        step_##T(odd, even, even + 1, odds, taps, n_taps, !back);                               \
      } else {                                                                                  \
        fill_margins_##T(odd, odds, n_taps, edge);                                              \
        step_##T(even, odd - 1, odd, evens, taps, n_taps, !back);                               \
      }                                                                                         \
    }                                                                                           \
    for (u32 i = 0; i < odds; i++) {                                                            \
      y[2 * i] = even[i];                                                                       \
      y[2 * i + 1] = odd[i];                                                                    \
    }                                                                                           \
    if (evens > odds) y[n - 1] = even[odds];                                                    \
  }

DEFINE(u8, Factors16, Sums32)
DEFINE(u16, Factors16, Sums32)
DEFINE(u32, Factors32, Sums64)

static u32 work(Call *call) {
  u32 width, order, edge;
  if (!take_width(call, 1 | 2 | 4, &width) || !take_uint(call, 1, 4, &order) ||
      !take_uint(call, 0, 3, &edge) || !no_more_parameters(call))
    return BAD_PARAMETER;
  u32 refusal = same_length(call, width);
  if (refusal != DONE) return refusal;
  u32 n = call->in[0].len / width;
  u32 need = stream_length(n - n / 2, width) + stream_length(n / 2, width);
  if (call->bound) {
    call->scratch->len = need;
    return DONE;
  }
  if (call->scratch->len < need) return SCRATCH;
  u8 *scratch = AT(u8, call->scratch->ptr);
  const void *x = in_at(call, 0);
  void *y = out_at(call, 0);
  switch (width) {
    case 1: turn_u8(x, n, y, scratch, order, edge, call->inverse); break;
    case 2: turn_u16(x, n, y, scratch, order, edge, call->inverse); break;
    default: turn_u32(x, n, y, scratch, order, edge, call->inverse); break;
  }
  return DONE;
}
