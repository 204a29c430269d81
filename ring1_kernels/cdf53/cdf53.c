/* cdf53: the 5/3 wavelet of Cohen, Daubechies and Feauveau, by lifting. See spec.md. */
#include "../wavelet.h"

enum { ZERO, PERIODIC, REFLECT, CAUSAL };

/* `mean` is the mean of two lanes whose difference wraps, so that lanes with and without a sign are
 * served alike; `quarter` is (a + b + 2) / 4 of lanes with a sign and never leaves their range. Both
 * round down. U is one lane or a vector of them, S the same with a sign. */
#define DEFINE_MEANS(U, S)                                                                      \
  static inline U mean_##U(U a, U b) { return (U)(a + (U)((S)(U)(b - a) >> 1)); }               \
  static inline U quarter_##U(U a, U b) {                                                       \
    U half = (U)((U)((S)a >> 1) + (U)((S)b >> 1) + (U)(a & b & 1));                             \
    return (U)((U)((S)half >> 1) + (U)(half & 1));                                              \
  }

/* What stands before and after a stream of even or odd lanes that begins and ends like this. */
#define DEFINE_EDGES(T)                                                                         \
  static inline T before_##T(T first, T last, u32 edge) {                                       \
    return edge == PERIODIC ? last : edge == REFLECT ? first : 0;                               \
  }                                                                                             \
  static inline T after_##T(T first, T last, u32 edge) {                                        \
    return edge == ZERO ? 0 : edge == PERIODIC ? first : last;                                  \
  }

#define DEFINE_PART(T)                                                                          \
  static inline T high_##T(const T *x, u32 n, u32 i, u32 edge) {                                \
    T even = x[2 * i], next = 2 * i + 2 < n ? x[2 * i + 2] : after_##T(x[0], even, edge);       \
    return (T)(x[2 * i + 1] - mean_##T(even, next));                                            \
  }                                                                                             \
  static void part_##T(const T *restrict x, u32 n, T *restrict low, T *restrict high,           \
                       u32 edge) {                                                              \
    u32 odds = n / 2, i = 0;                                                                    \
    T first = high_##T(x, n, 0, edge), last = high_##T(x, n, odds - 1, edge);                   \
    T before = before_##T(first, last, edge);                                                   \
    V_##T carried = (V_##T){} + before;                                                         \
    for (; n - 2 * i >= 2 * PER_VECTOR(T) + 2; i += PER_VECTOR(T)) {                            \
      const T *at = x + 2 * i;                                                                  \
      V_##T a = LOAD(T, at), b = LOAD(T, at + PER_VECTOR(T));                                   \
      V_##T even = EVEN_##T(a, b);                                                              \
      V_##T next = EVEN_##T(LOAD(T, at + 2), LOAD(T, at + 2 + PER_VECTOR(T)));                  \
      V_##T detail = ODD_##T(a, b) - mean_V_##T(even, next);                                    \
      STORE(T, high + i, detail);                                                               \
      STORE(T, low + i, even + quarter_V_##T(BEFORE_##T(carried, detail), detail));             \
      carried = detail;                                                                         \
    }                                                                                           \
    before = carried[PER_VECTOR(T) - 1];                                                        \
    for (; i < odds; i++) {                                                                     \
      T detail = high_##T(x, n, i, edge);                                                       \
      high[i] = detail;                                                                         \
      low[i] = (T)(x[2 * i] + quarter_##T(before, detail));                                     \
      before = detail;                                                                          \
    }                                                                                           \
    if (n % 2 != 0) low[odds] = (T)(x[n - 1] + quarter_##T(before, after_##T(first, last, edge)));\
  }

#define DEFINE_JOIN(T)                                                                          \
  static inline T even_##T(const T *low, const T *high, u32 n, u32 i, u32 edge) {               \
    T first = high[0], last = high[n / 2 - 1];                                                  \
    T before = i > 0 ? high[i - 1] : before_##T(first, last, edge);                             \
    return (T)(low[i] - quarter_##T(before, i < n / 2 ? high[i] : after_##T(first, last, edge)));\
  }                                                                                             \
  /* The even lane that follows those known: the one at i, or what stands after all. */         \
  static inline T next_##T(const T *low, const T *high, u32 n, u32 i, T known, u32 edge) {      \
    if (i < halved(n)) return even_##T(low, high, n, i, edge);                                  \
    return after_##T(even_##T(low, high, n, 0, edge), known, edge);                             \
  }                                                                                             \
  static inline void put_##T(T *x, V_##T even, V_##T next, V_##T detail) {                      \
    V_##T odd = detail + mean_V_##T(even, AFTER_##T(even, next));                               \
    STORE(T, x, FIRST_##T(even, odd));                                                          \
    STORE(T, x + PER_VECTOR(T), SECOND_##T(even, odd));                                         \
  }                                                                                             \
  static void join_##T(const T *restrict low, const T *restrict high, u32 n, T *restrict x,     \
                       u32 edge) {                                                              \
    u32 odds = n / 2, i = 0;                                                                    \
    T known = even_##T(low, high, n, 0, edge);                                                  \
    if (odds >= PER_VECTOR(T)) {                                                                \
      V_##T detail = LOAD(T, high);                                                             \
      V_##T carried = (V_##T){} + before_##T(high[0], high[odds - 1], edge);                    \
      V_##T even = LOAD(T, low) - quarter_V_##T(BEFORE_##T(carried, detail), detail);           \
      /* A vector waits until the first even lane of the next is known. */                      \
      for (i = PER_VECTOR(T); odds - i >= PER_VECTOR(T); i += PER_VECTOR(T)) {                  \
        V_##T coming = LOAD(T, high + i);                                                       \
        V_##T next = LOAD(T, low + i) - quarter_V_##T(LOAD(T, high + i - 1), coming);           \
        put_##T(x + 2 * (i - PER_VECTOR(T)), even, next, detail);                               \
        even = next;                                                                            \
        detail = coming;                                                                        \
      }                                                                                         \
      known = next_##T(low, high, n, i, even[PER_VECTOR(T) - 1], edge);                         \
      put_##T(x + 2 * (i - PER_VECTOR(T)), even, (V_##T){} + known, detail);                    \
    }                                                                                           \
    for (; i < odds; i++) {                                                                     \
      T even = known;                                                                           \
      known = next_##T(low, high, n, i + 1, even, edge);                                        \
      x[2 * i] = even;                                                                          \
      x[2 * i + 1] = (T)(high[i] + mean_##T(even, known));                                      \
    }                                                                                           \
    if (n % 2 != 0) x[n - 1] = known;                                                           \
  }

#define DEFINE(T)                                                                               \
  DEFINE_MEANS(T, S_##T)                                                                        \
  DEFINE_MEANS(V_##T, SV_##T)                                                                   \
  DEFINE_EDGES(T)                                                                               \
  DEFINE_PART(T)                                                                                \
  DEFINE_JOIN(T)

DEFINE(u8)
DEFINE(u16)
DEFINE(u32)
DEFINE(u64)

static u32 work(Call *call) {
  u32 width, levels, edge;
  if (!take_width(call, 1 | 2 | 4 | 8, &width) || !take_uint(call, 1, 16, &levels) ||
      !take_uint(call, 0, 3, &edge) || !no_more_parameters(call))
    return BAD_PARAMETER;
  return wavelet(call, width, levels, edge);
}
