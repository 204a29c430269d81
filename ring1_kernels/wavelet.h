/* What the integer wavelets share: levels, ports and scratch.
 *
 * A kernel includes this file, defines `part_T` and `join_T` for each T of u8, u16, u32 and u64, and
 * calls `wavelet` from its `work`. */
#ifndef REDOXA_WAVELET_H
#define REDOXA_WAVELET_H

#include "lanes.h"

/* A level halves its lanes and rounds up; a single lane is no longer parted. */
static inline u32 halved(u32 n) { return n - n / 2; }

static inline u32 low_length(u32 n, u32 levels) {
  for (; levels > 0 && n > 1; levels--) n = halved(n);
  return n;
}

/* Low lanes that are parted again lie in the two halves of the scratch in turn. The first has room
 * for those of level 1, the second for those of level 2. */
static inline u32 first_half(u32 n, u32 width) { return (halved(n) * width + 15) & ~15u; }

static inline u32 scratch_length(u32 n, u32 width, u32 levels) {
  if (levels < 2 || n <= 2) return 0;
  return first_half(n, width) + halved(halved(n)) * width;
}

/* part_T makes halved(n) low and n / 2 high lanes of n >= 2 lanes, join_T the lanes of both. In
 * `high` the highest level comes first, so level 1 ends where `high` ends. */
#define DEFINE_LEVELS(T)                                                                        \
  static void part_##T(const T *restrict x, u32 n, T *restrict low, T *restrict high,           \
                       u32 edge);                                                               \
  static void join_##T(const T *restrict low, const T *restrict high, u32 n, T *restrict x,     \
                       u32 edge);                                                               \
  static void part_levels_##T(const T *x, u32 n, T *low, T *high, T *half[2], u32 levels,       \
                              u32 edge) {                                                       \
    if (n == 1) low[0] = x[0];                                                                  \
    high += n - low_length(n, levels);                                                          \
    for (u32 level = 1; n > 1 && level <= levels; level++) {                                    \
      T *to = level == levels || n == 2 ? low : half[(level - 1) & 1];                          \
      high -= n / 2;                                                                            \
      part_##T(x, n, to, high, edge);                                                           \
      x = to;                                                                                   \
      n = halved(n);                                                                            \
    }                                                                                           \
  }                                                                                             \
  static void join_levels_##T(const T *low, const T *high, u32 n, T *x, T *half[2], u32 levels, \
                              u32 edge) {                                                       \
    if (n == 1) x[0] = low[0];                                                                  \
    u32 lengths[32], level = 0;                                                                 \
    for (; n > 1 && level < levels; n = halved(n)) lengths[level++] = n;                        \
    for (; level > 0; level--) {                                                                \
      n = lengths[level - 1];                                                                   \
      T *to = level == 1 ? x : half[level & 1];                                                 \
      join_##T(low, high, n, to, edge);                                                         \
      low = to;                                                                                 \
      high += n / 2;                                                                            \
    }                                                                                           \
  }

DEFINE_LEVELS(u8)
DEFINE_LEVELS(u16)
DEFINE_LEVELS(u32)
DEFINE_LEVELS(u64)

#define RUN_LEVELS(T)                                                                           \
  do {                                                                                          \
    u32 scratch = call->scratch->ptr;                                                           \
    T *half[2] = {AT(T, scratch), AT(T, scratch + first_half(n, width))};                       \
    if (call->inverse)                                                                          \
      join_levels_##T(in_at(call, 0), in_at(call, 1), n, out_at(call, 0), half, levels, edge);  \
    else                                                                                        \
      part_levels_##T(in_at(call, 0), n, out_at(call, 0), out_at(call, 1), half, levels, edge); \
  } while (0)

/* The rest of a wavelet's work once its parameters are taken. */
static u32 wavelet(Call *call, u32 width, u32 levels, u32 edge) {
  u32 streams = call->inverse ? 2 : 1;
  if (call->n_in != streams || call->n_out != 3 - streams) return CALL_SHAPE;
  u64 length = call->in[0].len;
  if (call->inverse) length += call->in[1].len;
  if (length % width != 0 || length >> 32 != 0) return unusable(call);
  u32 n = (u32)length / width, low = low_length(n, levels);
  if (call->inverse && call->in[0].len != low * width) return MALFORMED;
  u32 scratch = scratch_length(n, width, levels);
  u32 room[2] = {call->inverse ? n * width : low * width, (n - low) * width};
  if (call->bound) {
    for (u32 port = 0; port < call->n_out; port++) call->out[port].cap = room[port];
    call->scratch->len = scratch;
    return DONE;
  }
  for (u32 port = 0; port < call->n_out; port++) {
    if (call->out[port].cap < room[port]) return CAPACITY;
    call->out[port].len = room[port];
  }
  if (call->scratch->len < scratch) return SCRATCH;
  switch (width) {
    case 1: RUN_LEVELS(u8); break;
    case 2: RUN_LEVELS(u16); break;
    case 4: RUN_LEVELS(u32); break;
    default: RUN_LEVELS(u64); break;
  }
  return DONE;
}

#endif
