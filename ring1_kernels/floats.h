/* What transforms of floats share: lanes to doubles and back, and residuals.
 *
 * A transform computes in doubles. Lanes that are not finite count as 0, so that one of them does
 * not spoil the others; NaNs that are computed get one bit pattern. What rounding and all this take
 * goes to the residual: the difference, modulo 2^w, of a lane and what is reconstructed for it, both
 * as whole numbers in the order of the floats. So every bit pattern comes back. */
#ifndef REDOXA_FLOATS_H
#define REDOXA_FLOATS_H

#include "lanes.h"

typedef union { u32 bits; float value; } F32;
typedef union { u64 bits; double value; } F64;

#define SIGN_u32 0x80000000u
#define SIGN_u64 0x8000000000000000u
#define INFINITY_u32 0x7f800000u
#define INFINITY_u64 0x7ff0000000000000u
#define NAN_u32 0x7fc00000u
#define NAN_u64 0x7ff8000000000000u

typedef double Pair __attribute__((vector_size(16), aligned(8)));
#define PAIR(at) (*(Pair *)(at))

static inline double value_u32(u32 bits) {
  return (bits & INFINITY_u32) == INFINITY_u32 ? 0 : (double)((F32){.bits = bits}).value;
}
static inline double value_u64(u64 bits) {
  return (bits & INFINITY_u64) == INFINITY_u64 ? 0 : ((F64){.bits = bits}).value;
}
static inline u32 lane_u32(double value) {
  return value != value ? NAN_u32 : ((F32){.value = (float)value}).bits;
}
static inline u64 lane_u64(double value) {
  return value != value ? NAN_u64 : ((F64){.value = value}).bits;
}

/* As many lanes as a vector has from as many doubles. */
typedef float Two __attribute__((vector_size(8)));
typedef float Four __attribute__((vector_size(16)));

static inline V_u32 lanes_u32(const double *values) {
  Two low = __builtin_convertvector(PAIR(values), Two);
  Two high = __builtin_convertvector(PAIR(values + 2), Two), zero = {};
  /* Widened by zeros each on its own: that is one instruction of the sandbox. */
  Four a = __builtin_shufflevector(low, zero, 0, 1, 2, 3);
  Four b = __builtin_shufflevector(high, zero, 0, 1, 2, 3);
  Four lanes = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  V_u32 nan = (V_u32)(lanes != lanes);
  return ((V_u32)lanes & ~nan) | (nan & NAN_u32);
}
static inline V_u64 lanes_u64(const double *values) {
  Pair lanes = PAIR(values);
  V_u64 nan = (V_u64)(lanes != lanes);
  return ((V_u64)lanes & ~nan) | (nan & NAN_u64);
}

/* Whole numbers that grow as the floats do, -0 just below 0, and the way back. U is one lane of T or
 * a vector of them, S the same with a sign. */
#define DEFINE_ORDER(T, U, S)                                                                   \
  static inline U order_##U(U bits) {                                                           \
    return bits ^ ((U)((S)bits >> (8 * sizeof(T) - 1)) | SIGN_##T);                             \
  }                                                                                             \
  static inline U unorder_##U(U place) {                                                        \
    return place ^ ((U)((S)~place >> (8 * sizeof(T) - 1)) | SIGN_##T);                          \
  }

#define DEFINE_LANES(T)                                                                         \
  DEFINE_ORDER(T, T, S_##T)                                                                     \
  DEFINE_ORDER(T, V_##T, SV_##T)                                                                \
  static void read_##T(const T *restrict lanes, double *restrict values, u32 count) {           \
    for (u32 i = 0; i < count; i++) values[i] = value_##T(lanes[i]);                            \
  }                                                                                             \
  static void write_##T(const double *restrict values, T *restrict lanes, u32 count) {          \
    u32 i = 0;                                                                                  \
    for (; count - i >= PER_VECTOR(T); i += PER_VECTOR(T))                                      \
      STORE(T, lanes + i, lanes_##T(values + i));                                               \
    for (; i < count; i++) lanes[i] = lane_##T(values[i]);                                      \
  }                                                                                             \
  static bool same_##T(const double *restrict values, const T *restrict lanes, u32 count) {     \
    u32 i = 0;                                                                                  \
    V_##T differing = {};                                                                       \
    for (; count - i >= PER_VECTOR(T); i += PER_VECTOR(T))                                      \
      differing |= lanes_##T(values + i) ^ LOAD(T, lanes + i);                                  \
    T all = 0;                                                                                  \
    for (u32 lane = 0; lane < PER_VECTOR(T); lane++) all |= differing[lane];                    \
    for (; i < count; i++) all |= lane_##T(values[i]) ^ lanes[i];                               \
    return all == 0;                                                                            \
  }                                                                                             \
  static void part_##T(const T *restrict lanes, const double *restrict near,                    \
                       T *restrict residual, u32 count) {                                       \
    u32 i = 0;                                                                                  \
    for (; count - i >= PER_VECTOR(T); i += PER_VECTOR(T)) {                                    \
      V_##T place = order_V_##T(lanes_##T(near + i));                                           \
      STORE(T, residual + i, order_V_##T(LOAD(T, lanes + i)) - place);                          \
    }                                                                                           \
    for (; i < count; i++) residual[i] = order_##T(lanes[i]) - order_##T(lane_##T(near[i]));    \
  }                                                                                             \
  static void join_##T(const T *restrict residual, const double *restrict near,                 \
                       T *restrict lanes, u32 count) {                                          \
    u32 i = 0;                                                                                  \
    for (; count - i >= PER_VECTOR(T); i += PER_VECTOR(T)) {                                    \
      V_##T place = order_V_##T(lanes_##T(near + i)) + LOAD(T, residual + i);                   \
      STORE(T, lanes + i, unorder_V_##T(place));                                                \
    }                                                                                           \
    for (; i < count; i++)                                                                      \
      lanes[i] = unorder_##T(order_##T(lane_##T(near[i])) + residual[i]);                       \
  }

DEFINE_LANES(u32)
DEFINE_LANES(u64)

/* A stream of float lanes, 4 or 8 bytes wide; `at` and `count` are lanes. */
typedef struct { u8 *bytes; u32 width; } Lanes;

static inline void *lane_at(Lanes lanes, u32 at) { return lanes.bytes + at * lanes.width; }

static inline void read_lanes(Lanes from, u32 at, double *values, u32 count) {
  if (from.width == 4)
    read_u32(lane_at(from, at), values, count);
  else
    read_u64(lane_at(from, at), values, count);
}

static inline void write_lanes(const double *values, Lanes to, u32 at, u32 count) {
  if (to.width == 4)
    write_u32(values, lane_at(to, at), count);
  else
    write_u64(values, lane_at(to, at), count);
}

/* Whether these values would be written as those lanes. */
static inline bool same_lanes(const double *values, Lanes lanes, u32 at, u32 count) {
  return lanes.width == 4 ? same_u32(values, lane_at(lanes, at), count)
                          : same_u64(values, lane_at(lanes, at), count);
}

/* `near` is what is reconstructed for the lanes. */
static inline void part_lanes(Lanes lanes, const double *near, Lanes residual, u32 at, u32 count) {
  if (lanes.width == 4)
    part_u32(lane_at(lanes, at), near, lane_at(residual, at), count);
  else
    part_u64(lane_at(lanes, at), near, lane_at(residual, at), count);
}

static inline void join_lanes(Lanes residual, const double *near, Lanes lanes, u32 at, u32 count) {
  if (lanes.width == 4)
    join_u32(lane_at(residual, at), near, lane_at(lanes, at), count);
  else
    join_u64(lane_at(residual, at), near, lane_at(lanes, at), count);
}

/* Whether a call has the ports of a transform: forward a signal to what is made of it and a residual,
 * backwards both of these to the signal. */
static inline bool is_transform(const Call *call) {
  u32 streams = call->inverse ? 2 : 1;
  return call->n_in == streams && call->n_out == 3 - streams;
}

/* What a transform does before its work, with these lengths in bytes: DONE with call->bound false
 * means that the outputs and the scratch have room. */
static inline u32 take_room(Call *call, u32 made, u32 signal, u32 scratch) {
  u32 room[2] = {call->inverse ? signal : made, signal};
  for (u32 port = 0; port < call->n_out; port++) {
    Output *out = &call->out[port];
    if (call->bound)
      out->cap = room[port];
    else if (out->cap < room[port])
      return CAPACITY;
    else
      out->len = room[port];
  }
  if (call->bound) {
    call->scratch->len = scratch;
    return DONE;
  }
  return call->scratch->len < scratch ? SCRATCH : DONE;
}

#endif
