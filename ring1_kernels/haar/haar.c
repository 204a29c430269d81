/* haar: means and differences of neighbours (the S transform), level by level. See spec.md. */
#include "../wavelet.h"

/* The difference of two lanes wraps and is then read with a sign, so that lanes with and without a
 * sign are served alike. */
#define DEFINE(T)                                                                               \
  static void part_##T(const T *restrict x, u32 n, T *restrict low, T *restrict high,           \
                       u32 edge) {                                                              \
    (void)edge;                                                                                 \
    u32 pairs = n / 2, i = 0;                                                                   \
    for (; pairs - i >= PER_VECTOR(T); i += PER_VECTOR(T)) {                                    \
      V_##T a = LOAD(T, x + 2 * i), b = LOAD(T, x + 2 * i + PER_VECTOR(T));                     \
      V_##T first = EVEN_##T(a, b), difference = ODD_##T(a, b) - first;                         \
      STORE(T, high + i, difference);                                                           \
      STORE(T, low + i, first + (V_##T)((SV_##T)difference >> 1));                              \
    }                                                                                           \
    for (; i < pairs; i++) {                                                                    \
      T difference = (T)(x[2 * i + 1] - x[2 * i]);                                              \
      high[i] = difference;                                                                     \
      low[i] = (T)(x[2 * i] + (T)((S_##T)difference >> 1));                                     \
    }                                                                                           \
    if (n % 2 != 0) low[pairs] = x[n - 1];                                                      \
  }                                                                                             \
  static void join_##T(const T *restrict low, const T *restrict high, u32 n, T *restrict x,     \
                       u32 edge) {                                                              \
    (void)edge;                                                                                 \
    u32 pairs = n / 2, i = 0;                                                                   \
    for (; pairs - i >= PER_VECTOR(T); i += PER_VECTOR(T)) {                                    \
      V_##T difference = LOAD(T, high + i);                                                     \
      V_##T first = LOAD(T, low + i) - (V_##T)((SV_##T)difference >> 1);                        \
      V_##T second = first + difference;                                                        \
      STORE(T, x + 2 * i, FIRST_##T(first, second));                                            \
      STORE(T, x + 2 * i + PER_VECTOR(T), SECOND_##T(first, second));                           \
    }                                                                                           \
    for (; i < pairs; i++) {                                                                    \
      T first = (T)(low[i] - (T)((S_##T)high[i] >> 1));                                         \
      x[2 * i] = first;                                                                         \
      x[2 * i + 1] = (T)(first + high[i]);                                                      \
    }                                                                                           \
    if (n % 2 != 0) x[n - 1] = low[pairs];                                                      \
  }

DEFINE(u8)
DEFINE(u16)
DEFINE(u32)
DEFINE(u64)

static u32 work(Call *call) {
  u32 width, levels;
  if (!take_width(call, 1 | 2 | 4 | 8, &width) || !take_uint(call, 1, 16, &levels) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  return wavelet(call, width, levels, 0);
}
