/* XXH64 with seed 0, of which a frame's checksum is the low half. */
#ifndef ZSTD_XXH64_H
#define ZSTD_XXH64_H

#include "format.h"

#define P1 0x9e3779b185ebca87ull
#define P2 0xc2b2ae3d27d4eb4full
#define P3 0x165667b19e3779f9ull
#define P4 0x85ebca77c2b2ae63ull
#define P5 0x27d4eb2f165667c5ull

static inline u64 turn(u64 value, u32 by) { return value << by | value >> (64 - by); }
static inline u64 mixed(u64 lane, u64 input) { return turn(lane + input * P2, 31) * P1; }

static u64 xxh64(const u8 *at, u32 length) {
  const u8 *end = at + length;
  u64 sum = P5;
  if (length >= 32) {
    u64 a = P1 + P2, b = P2, c = 0, d = 0 - P1;
    for (; end - at >= 32; at += 32) {
      a = mixed(a, load64(at));
      b = mixed(b, load64(at + 8));
      c = mixed(c, load64(at + 16));
      d = mixed(d, load64(at + 24));
    }
    sum = turn(a, 1) + turn(b, 7) + turn(c, 12) + turn(d, 18);
    sum = (sum ^ mixed(0, a)) * P1 + P4;
    sum = (sum ^ mixed(0, b)) * P1 + P4;
    sum = (sum ^ mixed(0, c)) * P1 + P4;
    sum = (sum ^ mixed(0, d)) * P1 + P4;
  }
  sum += length;
  for (; end - at >= 8; at += 8) sum = turn(sum ^ mixed(0, load64(at)), 27) * P1 + P4;
  for (; end - at >= 4; at += 4) sum = turn(sum ^ load32(at) * P1, 23) * P2 + P3;
  for (; at != end; at++) sum = turn(sum ^ *at * P5, 11) * P1;
  sum = (sum ^ sum >> 33) * P2;
  sum = (sum ^ sum >> 29) * P3;
  return sum ^ sum >> 32;
}

#undef P1
#undef P2
#undef P3
#undef P4
#undef P5

#endif
