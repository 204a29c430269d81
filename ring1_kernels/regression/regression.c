/* regression: each lane predicted from the lanes before it by weights fitted to all of them, and
 * what is left. See spec.md. */
#include "../floats.h"
#include "fit.h"

typedef struct { u32 width, record, history; } Shape;

/* How many lanes before it predict the lane at a place of its record. */
static inline u32 reach(const Shape *shape, u32 place) {
  return shape->history * shape->record + place;
}

static inline u32 weights_of(const Shape *shape) {
  return shape->record * reach(shape, 0) + shape->record * (shape->record - 1) / 2;
}

/* The prediction: a sum in eight parts, so that it does not wait for itself. */
static inline double predicted(const double *weights, const double *lanes, u32 count) {
  Pair sums[4] = {};
  u32 i = 0;
  for (; count - i >= 8; i += 8)
    _Pragma("clang loop unroll(full)") for (u32 pair = 0; pair < 4; pair++)
      sums[pair] += PAIR(weights + i + 2 * pair) * PAIR(lanes + i + 2 * pair);
  for (u32 part = 0; i < count; i++, part++) sums[part / 2][part % 2] += weights[i] * lanes[i];
  Pair sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
  return sum[0] + sum[1];
}

/* `values` are the lanes as doubles, with zeros ahead of them as far as a prediction reaches. */
#define DEFINE_PASSES(T, F)                                                                    \
  static void read_all_##T(const T *lanes, double *values, u32 n) {                            \
    for (u32 i = 0; i < n; i++) values[i] = ((F){.bits = lanes[i]}).value;                     \
  }                                                                                            \
  static void part_all_##T(const Shape *shape, const double *weights, const double *values,    \
                           const T *lanes, T *residual, u32 n) {                               \
    for (u32 i = 0, place = 0; i < n; i++) {                                                   \
      u32 count = weights == 0 ? 0 : reach(shape, place);                                      \
      double near = predicted(weights, values + i - count, count);                             \
      residual[i] = order_##T(lanes[i]) - order_##T(lane_##T(near));                           \
      weights += count;                                                                        \
      if (++place == shape->record) {                                                          \
        place = 0;                                                                             \
        if (count != 0) weights -= weights_of(shape);                                          \
      }                                                                                        \
    }                                                                                          \
  }                                                                                            \
  static void join_all_##T(const Shape *shape, const double *weights, double *values,          \
                           T *lanes, const T *residual, u32 n) {                               \
    for (u32 i = 0, place = 0; i < n; i++) {                                                   \
      u32 count = weights == 0 ? 0 : reach(shape, place);                                      \
      double near = predicted(weights, values + i - count, count);                             \
      lanes[i] = unorder_##T(order_##T(lane_##T(near)) + residual[i]);                         \
      values[i] = value_##T(lanes[i]);                                                         \
      weights += count;                                                                        \
      if (++place == shape->record) {                                                          \
        place = 0;                                                                             \
        if (count != 0) weights -= weights_of(shape);                                          \
      }                                                                                        \
    }                                                                                          \
  }

DEFINE_PASSES(u32, F32)
DEFINE_PASSES(u64, F64)

/* Bytes of scratch for the lanes as doubles and the zeros ahead of them. */
static u64 values_bytes(const Shape *shape, u32 n) { return 8 * ((u64)reach(shape, 0) + n); }

/* Whether there are enough whole records for the weights to mean something. */
static bool is_fitted(const Shape *shape, u32 n) {
  u32 side = reach(shape, shape->record), records = n / shape->record;
  return records >= shape->history + 2 * side;
}

static double *clear_values(const Call *call, const Shape *shape) {
  double *values = AT(double, call->scratch->ptr);
  u32 ahead = reach(shape, 0);
  for (u32 i = 0; i < ahead; i++) values[i] = 0;
  return values + ahead;
}

static u32 forward(Call *call, const Shape *shape) {
  if (call->n_in != 1 || call->n_out != 2) return CALL_SHAPE;
  u32 length = call->in[0].len, n = length / shape->width;
  if (length % shape->width != 0) return OUTSIDE_DOMAIN;
  u32 fitted = is_fitted(shape, n) ? 8 * weights_of(shape) : 0;
  u64 room = values_bytes(shape, n) + (fitted ? fit_bytes(reach(shape, shape->record)) : 0);
  if (room > 0xffffffffu) return OUTSIDE_DOMAIN;
  if (call->bound) {
    call->out[0].cap = fitted;
    call->out[1].cap = length;
    call->scratch->len = (u32)room;
    return DONE;
  }
  if (call->out[0].cap < fitted || call->out[1].cap < length) return CAPACITY;
  if (call->scratch->len < room) return SCRATCH;
  double *values = clear_values(call, shape), *weights = out_at(call, 0);
  if (shape->width == 4)
    read_all_u32(in_at(call, 0), values, n);
  else
    read_all_u64(in_at(call, 0), values, n);
  if (fitted) {
    Records records = {values, n / shape->record, shape->record, shape->history};
    if (!fit(&records, values + n, weights)) fitted = 0;
  }
  /* Until here what is not finite could be told from a 0. */
  for (u32 i = 0; i < n; i++)
    if (!is_finite(values[i])) values[i] = 0;
  call->out[0].len = fitted;
  call->out[1].len = length;
  if (!fitted) weights = 0;
  if (shape->width == 4)
    part_all_u32(shape, weights, values, in_at(call, 0), out_at(call, 1), n);
  else
    part_all_u64(shape, weights, values, in_at(call, 0), out_at(call, 1), n);
  return DONE;
}

static u32 inverse(Call *call, const Shape *shape) {
  if (call->n_in != 2 || call->n_out != 1) return CALL_SHAPE;
  u32 fitted = call->in[0].len, length = call->in[1].len, n = length / shape->width;
  u64 room = values_bytes(shape, n);
  if (length % shape->width != 0 || room > 0xffffffffu) return MALFORMED;
  if (fitted != 0 && (fitted != 8 * weights_of(shape) || !is_fitted(shape, n))) return MALFORMED;
  if (call->bound) {
    call->out[0].cap = length;
    call->scratch->len = (u32)room;
    return DONE;
  }
  if (call->out[0].cap < length) return CAPACITY;
  if (call->scratch->len < room) return SCRATCH;
  double *values = clear_values(call, shape);
  const double *weights = fitted ? in_at(call, 0) : 0;
  if (shape->width == 4)
    join_all_u32(shape, weights, values, out_at(call, 0), in_at(call, 1), n);
  else
    join_all_u64(shape, weights, values, out_at(call, 0), in_at(call, 1), n);
  call->out[0].len = length;
  return DONE;
}

static u32 work(Call *call) {
  Shape shape;
  if (!take_width(call, 4 | 8, &shape.width) || !take_uint(call, 1, 256, &shape.record) ||
      !take_uint(call, 1, 64, &shape.history) || !no_more_parameters(call) ||
      reach(&shape, shape.record) > MAX_SIDE)
    return BAD_PARAMETER;
  return call->inverse ? inverse(call, &shape) : forward(call, &shape);
}
