/* Repeats found as zlib finds them: through chains of places with equal hashes of three bytes. */
#ifndef DEFLATE_MATCH_H
#define DEFLATE_MATCH_H

#include "blocks.h"

/* So many bytes are to be at hand for a match and the one that would begin after it. */
enum { AHEAD = MOST_MATCH + LEAST_MATCH + 1, TOO_FAR = 4096 };

/* How hard a level tries. From `good` on a search goes through a quarter of the chain; from `lazy`
 * on none is made for a better match one byte later, or, where none ever is, nothing inside a match
 * is remembered; one of `nice` bytes ends a search. */
typedef struct { u16 good, lazy, nice, chain; } Effort;

static const Effort EFFORTS[10] = {
    {0, 0, 0, 0},      {4, 4, 8, 4},        {4, 5, 16, 8},       {4, 6, 32, 32},
    {4, 4, 16, 16},    {8, 16, 32, 32},     {8, 16, 128, 128},   {8, 32, 128, 256},
    {32, 128, 258, 1024}, {32, 258, 258, 4096},
};

/* The first level that looks for a better match one byte later. */
enum { LAZY_LEVEL = 4 };

/* The window as it moves on: what lies before `base` is forgotten. Whether any bytes are left. */
static inline bool fill(Maker *m, u32 ahead) {
  if (m->loaded - m->at >= ahead) return true;
  u32 window = m->mask + 1;
  if (m->at - m->base >= 2 * window - AHEAD) m->base += window;
  u32 most = m->end - m->base;
  m->loaded = m->base + (most < 2 * window ? most : 2 * window);
  return m->at != m->end;
}

/* Remember a place; gives the one before it with the same hash. There are three bytes. */
static inline u32 remember(Maker *m, u32 at) {
  const u8 *bytes = m->plain + at;
  u32 bits = m->hash_bits, shift = (bits + 2) / 3;
  u32 hash = (bytes[0] << 2 * shift ^ bytes[1] << shift ^ bytes[2]) & ((1u << bits) - 1);
  u32 before = m->room->head[hash];
  m->room->before[at & m->mask] = before;
  m->room->head[hash] = at;
  return before;
}

/* Whether a place can be copied from. The window's first byte never is. */
static inline bool in_reach(const Maker *m, u32 place) {
  return place > m->base && m->at - place <= m->mask + 1 - AHEAD;
}

static inline u32 common(const u8 *one, const u8 *other, u32 most) {
  u32 length = 0;
  for (; most - length >= 8; length += 8) {
    u64 x, y;
    __builtin_memcpy(&x, one + length, 8);
    __builtin_memcpy(&y, other + length, 8);
    if (x != y) return length + (u32)__builtin_ctzll(x ^ y) / 8;
  }
  while (length < most && one[length] == other[length]) length++;
  return length;
}

static inline u16 two(const u8 *at) {
  u16 value;
  __builtin_memcpy(&value, at, 2);
  return value;
}

/* The longest match that is longer than `best`, from a place on that is in reach; else `best`. */
static u32 longest(Maker *m, u32 place, u32 best, u32 *from) {
  const Effort *effort = &EFFORTS[m->setting.level];
  const u32 *before = m->room->before;
  const u8 *plain = m->plain, *bytes = plain + m->at;
  u32 left = m->end - m->at, reach = m->mask + 1 - AHEAD, mask = m->mask;
  u32 limit = m->at - m->base > reach ? m->at - reach : m->base;
  u32 most = left < MOST_MATCH ? left : MOST_MATCH;
  u32 nice = effort->nice < most ? effort->nice : most;
  u32 chain = best >= effort->good ? effort->chain / 4 : effort->chain;
  if (best >= most) return best;
  /* Only what agrees where a longer match would end is compared from its begin. */
  const u8 *ends = plain + best - 1;
  u16 end = two(bytes + best - 1);
  do {
    if (two(ends + place) == end) {
      u32 length = common(plain + place, bytes, most);
      if (length > best) {
        best = length;
        *from = place;
        if (length >= nice) break;
        ends = plain + best - 1;
        end = two(bytes + best - 1);
      }
    }
    place = before[place & mask];
  } while (place > limit && --chain);
  return best;
}

static void make_greedily(Maker *m) {
  for (u32 length = 0; fill(m, AHEAD) && !m->failed;) {
    u32 from = 0, place = m->base;
    if (m->end - m->at >= LEAST_MATCH) place = remember(m, m->at);
    length = in_reach(m, place) ? longest(m, place, LEAST_MATCH - 1, &from) : 0;
    bool is_full;
    if (length < LEAST_MATCH) {
      is_full = tell(m, 0, m->plain[m->at]);
      m->at++;
    } else {
      is_full = tell(m, m->at - from, length - LEAST_MATCH);
      u32 end = m->at + length;
      if (length <= EFFORTS[m->setting.level].lazy && m->end - end >= LEAST_MATCH)
        for (u32 at = m->at + 1; at < end; at++) remember(m, at);
      m->at = end;
    }
    if (is_full) end_block(m, false);
  }
}

/* A match is put off while the one that begins a byte later is longer. */
static void make_lazily(Maker *m) {
  bool is_filtered = m->setting.strategy == FILTERED, has_literal = false;
  u32 length = LEAST_MATCH - 1, from = 0;
  while (fill(m, AHEAD) && !m->failed) {
    u32 place = m->base, earlier = length, earlier_from = from;
    if (m->end - m->at >= LEAST_MATCH) place = remember(m, m->at);
    length = LEAST_MATCH - 1;
    if (earlier < EFFORTS[m->setting.level].lazy && in_reach(m, place)) {
      length = longest(m, place, earlier, &from);
      bool is_poor = length == LEAST_MATCH && m->at - from > TOO_FAR;
      if (length <= 5 && (is_filtered || is_poor)) length = LEAST_MATCH - 1;
    }
    bool is_full = false;
    if (earlier >= LEAST_MATCH && length <= earlier) {
      is_full = tell(m, m->at - 1 - earlier_from, earlier - LEAST_MATCH);
      u32 end = m->at - 1 + earlier;
      for (m->at++; m->at < end; m->at++)
        if (m->end - m->at >= LEAST_MATCH) remember(m, m->at);
      has_literal = false;
      length = LEAST_MATCH - 1;
      if (is_full) end_block(m, false);
      continue;
    }
    if (has_literal) is_full = tell(m, 0, m->plain[m->at - 1]);
    if (is_full) end_block(m, false);
    has_literal = true;
    m->at++;
  }
  if (has_literal && !m->failed) tell(m, 0, m->plain[m->at - 1]);
}

static void make_literals(Maker *m) {
  while (fill(m, 1) && !m->failed) {
    bool is_full = tell(m, 0, m->plain[m->at]);
    m->at++;
    if (is_full) end_block(m, false);
  }
}

/* Only a byte that comes again and again is a match. */
static void make_runs(Maker *m) {
  for (u32 begin = m->at; fill(m, MOST_MATCH + 1) && !m->failed;) {
    const u8 *bytes = m->plain + m->at;
    u32 left = m->end - m->at, most = left < MOST_MATCH ? left : MOST_MATCH, length = 0;
    if (left >= LEAST_MATCH && m->at > begin)
      while (length < most && bytes[length] == bytes[-1]) length++;
    bool is_match = length >= LEAST_MATCH;
    bool is_full = is_match ? tell(m, 1, length - LEAST_MATCH) : tell(m, 0, bytes[0]);
    m->at += is_match ? length : 1;
    if (is_full) end_block(m, false);
  }
}

/* The stream of so many bytes. Nothing is taken for a repeat that lies before them. */
static void make(Maker *m, u32 length) {
  m->end = m->at + length;
  m->base = m->at;
  m->loaded = m->at;
  m->full = (64u << m->setting.memory) - 1;
  m->hash_bits = m->setting.is_gzip ? 15 : m->setting.memory + 7;
  m->mask = (1u << m->setting.window) - 1;
  begin_block(m);
  if (m->setting.strategy == HUFFMAN_ONLY) make_literals(m);
  else if (m->setting.strategy == RUNS) make_runs(m);
  else if (m->setting.level < LAZY_LEVEL) make_greedily(m);
  else make_lazily(m);
  if (!m->failed) end_block(m, true);
}

#endif
