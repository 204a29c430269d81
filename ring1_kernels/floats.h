/* What transforms of floats share: lanes to doubles and back, and residuals.
 *
 * A transform computes in doubles. Lanes that are not finite count as 0, so that one of them does
 * not spoil the others; NaNs that are computed get one bit pattern. What rounding and all this take
 * goes to the residual: the difference, modulo 2^w, of a lane and what is reconstructed for it, both
 * as whole numbers in the order of the floats. So every bit pattern comes back. */
#ifndef REDOXA_FLOATS_H
#define REDOXA_FLOATS_H

#include "abi.h"

typedef union { u32 bits; float value; } F32;
typedef union { u64 bits; double value; } F64;

#define SIGN_u32 0x80000000u
#define SIGN_u64 0x8000000000000000u
#define INFINITY_u32 0x7f800000u
#define INFINITY_u64 0x7ff0000000000000u

static inline double value_u32(u32 bits) {
  return (bits & INFINITY_u32) == INFINITY_u32 ? 0 : (double)((F32){.bits = bits}).value;
}
static inline double value_u64(u64 bits) {
  return (bits & INFINITY_u64) == INFINITY_u64 ? 0 : ((F64){.bits = bits}).value;
}
static inline u32 lane_u32(double value) {
  return value != value ? 0x7fc00000u : ((F32){.value = (float)value}).bits;
}
static inline u64 lane_u64(double value) {
  return value != value ? 0x7ff8000000000000u : ((F64){.value = value}).bits;
}

/* The lanes as whole numbers that grow as the floats do, -0 just below 0, and the way back. */
#define ORDERED(T, bits) ((T)((bits) & SIGN_##T ? ~(bits) : (bits) | SIGN_##T))
#define UNORDERED(T, place) ((T)((place) & SIGN_##T ? (place) & ~SIGN_##T : ~(place)))

#define DEFINE_LANES(T)                                                                         \
  static void read_##T(const T *restrict lanes, double *restrict values, u32 count) {           \
    for (u32 i = 0; i < count; i++) values[i] = value_##T(lanes[i]);                            \
  }                                                                                             \
  static void write_##T(const double *restrict values, T *restrict lanes, u32 count) {          \
    for (u32 i = 0; i < count; i++) lanes[i] = lane_##T(values[i]);                             \
  }                                                                                             \
  static bool same_##T(const double *restrict values, const T *restrict lanes, u32 count) {     \
    T difference = 0;                                                                           \
    for (u32 i = 0; i < count; i++) difference |= lane_##T(values[i]) ^ lanes[i];               \
    return difference == 0;                                                                     \
  }                                                                                             \
  static void part_##T(const T *restrict lanes, const double *restrict near,                    \
                       T *restrict residual, u32 count) {                                       \
    for (u32 i = 0; i < count; i++)                                                             \
      residual[i] = ORDERED(T, lanes[i]) - ORDERED(T, lane_##T(near[i]));                       \
  }                                                                                             \
  static void join_##T(const T *restrict residual, const double *restrict near,                 \
                       T *restrict lanes, u32 count) {                                          \
    for (u32 i = 0; i < count; i++) {                                                           \
      T place = ORDERED(T, lane_##T(near[i])) + residual[i];                                    \
      lanes[i] = UNORDERED(T, place);                                                           \
    }                                                                                           \
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

#endif
