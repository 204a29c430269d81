/* What encoder and decoder share: the stream's numbers, and a lane as a token with raw bits. */
#ifndef RESIDUAL_FORMAT_H
#define RESIDUAL_FORMAT_H

#include "../abi.h"

#define INLINE static inline __attribute__((always_inline))

enum {
  STORED = 0,              /* the mode of data as it is; every other mode is a state's length */
  WHOLE_STATE = 8,
  BLOCK = 32768,           /* lanes under one state */
  MAX_LENGTH = 1 << 30,    /* bytes of lanes */
  ESCAPE = 15,             /* the symbol that says: the token is fifteen more than the next symbol */
  WITH_SYMBOL = 15,        /* so many raw bits at most share a step with their symbol */
  AT_ONCE = 16,            /* and so many at most are a step of their own */
};

/* A state is at least this much before every step, unless the stream has no words left. */
static const u64 LOWEST = (u64)1 << 31;

/* Where coding of a block began: the state holds nothing yet, but words may follow. */
INLINE u64 begin_of(bool last_block) { return last_block ? 1 : LOWEST; }

INLINE u32 log2_of(u64 value) { return 63 - (u32)__builtin_clzll(value); }

/* Two classes an octave: 0, 1, 2, 3, then 4-5, 6-7, 8-11, 12-15, ... */
INLINE u32 half_octave(u64 value) {
  if (value < 4) return (u32)value;
  u32 exponent = log2_of(value);
  return 2 * exponent + (u32)(value >> (exponent - 1) & 1);
}

/* The number of bits that tell the values of one class apart. */
INLINE u32 raw_bits(u32 token) { return token < 4 ? 0 : token / 2 - 1; }

INLINE u64 lowest_of(u32 token) {
  return token < 4 ? token : (u64)(2 | (token & 1)) << raw_bits(token);
}

/* How many symbols a token of such lanes can take. */
INLINE u32 levels_of(u32 width) { return (16 * width - 2) / ESCAPE + 1; }

INLINE u64 lane_at(const void *lanes, u32 i, u32 width) {
  switch (width) {
    case 1: return ((const u8 *)lanes)[i];
    case 2: return ((const u16 *)lanes)[i];
    case 4: return ((const u32 *)lanes)[i];
    default: return ((const u64 *)lanes)[i];
  }
}

INLINE void put_lane(void *lanes, u32 i, u64 value, u32 width) {
  switch (width) {
    case 1: ((u8 *)lanes)[i] = (u8)value; break;
    case 2: ((u16 *)lanes)[i] = (u16)value; break;
    case 4: ((u32 *)lanes)[i] = (u32)value; break;
    default: ((u64 *)lanes)[i] = value; break;
  }
}

#endif
