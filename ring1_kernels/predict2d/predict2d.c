/* predict2d: what a prediction from the neighbours misses, zigzagged. See spec.md. */
#include "../lanes.h"

#define INLINE static inline __attribute__((always_inline))

enum { MEDIAN = 0, WEIGHTED = 1 };

typedef i32 Four __attribute__((vector_size(16)));
typedef u16 Narrow __attribute__((vector_size(8)));

enum {
  CLOSEST = 32,            /* the least error is brought below this before it is looked up */
  FARTHEST = 255,
  MOST_NARROW = 65535,     /* no error counts for more */
  MOST_WIDE = 1 << 24,     /* and none of a u32 lane for more than this */
};

/* 2^20 / (e^2 + 1): a predictor that errs twice as much has a quarter of the say. */
#define W(e) ((1 << 20) / ((e) * (e) + 1))
#define W4(e) W(e), W(e + 1), W(e + 2), W(e + 3)
#define W16(e) W4(e), W4(e + 4), W4(e + 8), W4(e + 12)
#define W64(e) W16(e), W16(e + 16), W16(e + 32), W16(e + 48)
static const i32 WEIGHT[FARTHEST + 1] = {W64(0), W64(64), W64(128), W64(192)};

typedef struct {
  u32 row, channels;       /* row is 0 when there is none */
  void *errors;            /* a ring of those of each lane, by predictor */
  u32 mask;                /* the ring's length less one */
} Shape;

/* Neighbours as differences to the lane on the left, so that a constant added to every lane, or
 * the place of the sign, changes nothing. */
typedef struct {
  u32 west;
  i32 north, north_west, north_east;
} Near;

INLINE u32 value_at(const void *lanes, u32 i, u32 width) {
  return width == 1   ? ((const u8 *)lanes)[i]
         : width == 2 ? ((const u16 *)lanes)[i]
                      : ((const u32 *)lanes)[i];
}

INLINE void put_value(void *lanes, u32 i, u32 value, u32 width) {
  if (width == 1) ((u8 *)lanes)[i] = (u8)value;
  if (width == 2) ((u16 *)lanes)[i] = (u16)value;
  if (width == 4) ((u32 *)lanes)[i] = value;
}

INLINE i32 with_sign(u32 value, u32 width) {
  return width == 1 ? (i8)value : width == 2 ? (i16)value : (i32)value;
}

/* The lane a distance back; 0 before the first, and at no distance. */
INLINE u32 back(const void *lanes, u32 i, u32 distance, u32 width, bool inside) {
  if (inside) return value_at(lanes, i - distance, width);
  return distance == 0 || i < distance ? 0 : value_at(lanes, i - distance, width);
}

/* `inside`: every neighbour is known to be there. */
INLINE Near near_to(const Shape *shape, const void *lanes, u32 i, u32 width, bool inside) {
  u32 row = shape->row, channels = shape->channels;
  u32 east = row > channels ? row - channels : row;
  u32 west = back(lanes, i, channels, width, inside);
  return (Near){
      .west = west,
      .north = with_sign(back(lanes, i, row, width, inside) - west, width),
      .north_west =
          with_sign(back(lanes, i, row == 0 ? 0 : row + channels, width, inside) - west, width),
      .north_east = with_sign(back(lanes, i, east, width, inside) - west, width),
  };
}

INLINE i32 least(i32 a, i32 b) { return a < b ? a : b; }
INLINE i32 most(i32 a, i32 b) { return a > b ? a : b; }

/* The middle one of west, north and the plane through the three nearest. */
INLINE i32 median(Near near) {
  i64 plane = (i64)near.north - near.north_west;
  i64 low = least(0, near.north), high = most(0, near.north);
  return (i32)(plane < low ? low : plane > high ? high : plane);
}

INLINE Four predictions(Near near) {
  u32 plane = (u32)near.north - (u32)near.north_west;
  return (Four){(i32)plane, near.north_east, near.north, 0};
}

INLINE Four errors_at(const Shape *shape, u32 i, u32 width) {
  u32 at = i & shape->mask;
  if (width == 4) return ((const Four *)shape->errors)[at];
  return __builtin_convertvector(((const Narrow *)shape->errors)[at], Four);
}

/* Remember by how much each predictor missed. */
INLINE void put_errors(const Shape *shape, u32 i, Four guesses, i32 actual, u32 width) {
  Four missed = __builtin_elementwise_abs((Four){actual, actual, actual, actual} - guesses);
  u32 at = i & shape->mask;
  if (width != 4) {
    missed = __builtin_elementwise_min(missed, MOST_NARROW + (Four){});
    ((Narrow *)shape->errors)[at] = __builtin_convertvector(missed, Narrow);
    return;
  }
  /* The size of the least number is below 0, and the largest one there is. */
  missed = (missed & ~(missed >> 31)) | ((missed >> 31) & MOST_WIDE);
  ((Four *)shape->errors)[at] = __builtin_elementwise_min(missed, MOST_WIDE + (Four){});
}

INLINE i32 nearest_quotient(i64 sum, i32 by, u32 width) {
  bool below = sum < 0;
  u64 size = (u64)(below ? -sum : sum) + (u32)by / 2;
  /* Products of narrow lanes fit 32 bits, whose division is the quicker one. */
  i32 quotient = width == 1 ? (i32)((u32)size / (u32)by) : (i32)(size / (u32)by);
  return below ? -quotient : quotient;
}

/* The four predictions by weights that their errors nearby give, within the neighbours' range. */
INLINE i32 weighted(const Shape *shape, Near near, Four guesses, u32 i, u32 width) {
  u32 row = shape->row, channels = shape->channels;
  u32 east = row > channels ? row - channels : row;
  Four errors = errors_at(shape, i - channels, width) + errors_at(shape, i - 2 * channels, width);
  if (row != 0)
    errors += errors_at(shape, i - row, width) + errors_at(shape, i - east, width) +
              errors_at(shape, i - row - channels, width);
  i32 smallest = least(least(errors[0], errors[1]), least(errors[2], errors[3]));
  u32 shift = smallest < CLOSEST ? 0 : 27 - (u32)__builtin_clz((u32)smallest);
  errors >>= (i32)shift;
  i32 weight[4], total = 0;
  i64 sum = 0;
  for (u32 k = 0; k < 4; k++) {
    weight[k] = WEIGHT[least(errors[k], FARTHEST)];
    total += weight[k];
    sum += (i64)weight[k] * guesses[k];
  }
  i32 guess = nearest_quotient(sum, total, width);
  i32 low = least(least(near.north, near.north_east), 0);
  i32 high = most(most(near.north, near.north_east), 0);
  return guess < low ? low : guess > high ? high : guess;
}

/* One lane, forward or back. `in` and `out` have what came before, `values` are those of the two
 * that hold values and not residuals. */
INLINE void one_lane(const Shape *shape, const void *in, void *out, u32 i, u32 width, u32 mode,
                     bool inverse, bool inside) {
  Near near = near_to(shape, inverse ? out : in, i, width, inside);
  Four guesses = predictions(near);
  i32 guess = mode == MEDIAN ? median(near) : weighted(shape, near, guesses, i, width);
  u32 given = value_at(in, i, width);
  i32 missed;
  if (inverse) {
    missed = (i32)((given >> 1) ^ (0 - (given & 1)));
    put_value(out, i, near.west + (u32)guess + (u32)missed, width);
  } else {
    missed = with_sign(given - near.west - (u32)guess, width);
    put_value(out, i, (u32)missed << 1 ^ (u32)(missed >> 31), width);
  }
  i32 actual = with_sign((u32)guess + (u32)missed, width);
  if (mode == WEIGHTED) put_errors(shape, i, guesses, actual, width);
}

INLINE void all_lanes(const Shape *shape, const void *in, void *out, u32 n, u32 width, u32 mode,
                      bool inverse) {
  u32 head = shape->row + shape->channels, i = 0;
  if (shape->row == 0 || head > n) head = n;
  for (; i < head; i++) one_lane(shape, in, out, i, width, mode, inverse, false);
  for (; i < n; i++) one_lane(shape, in, out, i, width, mode, inverse, true);
}

#define RUN(width, mode)                                                       \
  do {                                                                         \
    if (call->inverse)                                                         \
      all_lanes(&shape, in_at(call, 0), out_at(call, 0), n, width, mode, true);  \
    else                                                                       \
      all_lanes(&shape, in_at(call, 0), out_at(call, 0), n, width, mode, false); \
  } while (0)

/* A ring reaches back to the farthest neighbour. */
static u32 ring_mask(u32 row, u32 channels) {
  u32 reach = row + 2 * channels;
  return 0xffffffffu >> __builtin_clz(reach);
}

static u32 work(Call *call) {
  u32 width, row, channels, mode;
  if (!take_width(call, 1 | 2 | 4, &width) || !take_uint(call, 0, 1 << 24, &row) ||
      !take_uint(call, 1, 64, &channels) || !take_uint(call, 0, 1, &mode) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  u32 refusal = same_length(call, width), n = call->n_in == 1 ? call->in[0].len / width : 0;
  if (refusal != DONE) return refusal;
  if (row >= n) row = 0;
  Shape shape = {.row = row, .channels = channels, .mask = ring_mask(row, channels)};
  u32 scratch = mode == MEDIAN ? 0 : (shape.mask + 1) * (width == 4 ? 16 : 8);
  if (call->bound) {
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->scratch->len < scratch) return SCRATCH;
  shape.errors = AT(void, call->scratch->ptr);
  switch (2 * width + mode) {
    case 2: RUN(1, MEDIAN); break;
    case 3: RUN(1, WEIGHTED); break;
    case 4: RUN(2, MEDIAN); break;
    case 5: RUN(2, WEIGHTED); break;
    case 8: RUN(4, MEDIAN); break;
    default: RUN(4, WEIGHTED); break;
  }
  return DONE;
}
