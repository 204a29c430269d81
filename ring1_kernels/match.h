/* Where the bytes before this place stood last, and whether what followed there follows again. */
#ifndef REDOXA_MATCH_H
#define REDOXA_MATCH_H

#include "logistic.h"

enum { SHORTEST_MATCH = 5, COMPARED = 400, LONGEST_MATCH = 65535, STEPS = 46 };

/* Hashes that each byte moves up by so many bits reach back over sixteen bytes and over seven. */
enum { FAR_SHIFT = 2, NEAR_SHIFT = 5 };

typedef struct {
  u32 bits;                               /* of the tables' sizes */
  u32 *far, *near;                        /* places, by the hash of the bytes before them */
  u32 far_hash, near_hash;
  u32 at, length;                         /* the expected byte's place; 0 bytes matched for none */
  Adaptive right[STEPS][2];               /* by the length and the expected bit: that it is a one */
  Adaptive *said;                         /* of the bit that is coded now, or 0 */
} Match;

static u32 match_bits(u32 n) {
  u32 bits = 8;
  while (bits < 18 && 1u << bits < n) bits++;
  return bits;
}

static inline u32 match_bytes(u32 n) { return 8u << match_bits(n); }

static void fill_match(Match *m, u32 n, u32 *tables) {
  m->bits = match_bits(n);
  m->far = tables;
  m->near = tables + (1u << m->bits);
  for (u32 step = 0; step < STEPS; step++) {
    m->right[step][0] = adaptive(65536 / 8);
    m->right[step][1] = adaptive(65536 - 65536 / 8);
  }
}

/* A length as one of 46 steps, finer where it is short. */
static inline u32 length_step(u32 length) {
  if (length < 32) return length / 2;
  if (length < 64) return 16 + (length - 32) / 4;
  if (length < 512) return 24 + (length - 64) / 32;
  return length < 4096 ? 38 + (length - 512) / 512 : 45;
}

/* The length in one of six classes, 0 where nothing is expected. */
static inline u32 confidence(const Match *m) {
  if (m->said == 0) return 0;
  u32 step = length_step(m->length);
  return step < 3 ? 1 : step < 8 ? 2 : step < 16 ? 3 : step < 24 ? 4 : step < 38 ? 5 : 6;
}

/* Find what the match says of the next bit, if it was right in this byte so far: `node` is a 1 and
 * the bits of the byte. */
static inline void expect(Match *m, const u8 *data, u32 node, u32 bits) {
  m->said = 0;
  if (m->length == 0) return;
  u32 byte = data[m->at];
  if ((byte | 256) >> (8 - bits) == node)
    m->said = &m->right[length_step(m->length)][byte >> (7 - bits) & 1];
}

static inline u32 moved(u32 hash, u32 byte, u32 shift) {
  return (hash + byte + 1) * (0x2f0b4c47u << shift);
}

/* How many bytes before two places are the same. */
static inline u32 same_before(const u8 *data, u32 at, u32 place) {
  u32 length = 0;
  while (length < COMPARED && length < place && data[place - 1 - length] == data[at - 1 - length])
    length++;
  return length;
}

/* After the byte before `at`: go on with the match, or look for one. */
static void find_match(Match *m, const u8 *data, u32 at) {
  u32 byte = data[at - 1];
  m->far_hash = moved(m->far_hash, byte, FAR_SHIFT);
  m->near_hash = moved(m->near_hash, byte, NEAR_SHIFT);
  u32 *far = &m->far[m->far_hash >> (32 - m->bits)];
  u32 *near = &m->near[m->near_hash >> (32 - m->bits)];
  if (m->length > 0 && data[m->at] == byte) {
    m->at++;
    if (m->length < LONGEST_MATCH) m->length++;
  } else {
    m->at = *far;
    m->length = same_before(data, at, *far);
    if (m->length < SHORTEST_MATCH) {
      m->at = *near;
      m->length = same_before(data, at, *near);
    }
    if (m->length < SHORTEST_MATCH) m->length = 0;
  }
  *far = *near = at;
}

#endif
