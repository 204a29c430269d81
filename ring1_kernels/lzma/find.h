/* The encoder's search for repeats: chains of places with equal hashes, and one step of doubt. */
#ifndef LZMA_FIND_H
#define LZMA_FIND_H

#include "chunk.h"

enum { HASHED = 3, DEPTH = 24, MAX_HASH_BITS = 16, RECENT = 4, NEW = RECENT };

/* `newest` of a hash and `before` of a place hold places plus one, so that 0 is none. */
typedef struct {
  const u8 *data;
  u32 length, next;        /* places below `next` are in the chains */
  u32 *newest, *before;
  u32 hash_bits;
} Finder;

/* `which` of the recent distances, or NEW; `back` is the distance less one. No length is none. */
typedef struct {
  u32 length, which, back;
  i32 gain;
} Match;

static inline u32 hash_of(const Finder *finder, u32 at) {
  const u8 *from = finder->data + at;
  u32 three = (u32)from[0] | (u32)from[1] << 8 | (u32)from[2] << 16;
  return three * 0x9e3779b1u >> (32 - finder->hash_bits);
}

static void enter(Finder *finder, u32 until) {
  for (; finder->next < until && finder->next + HASHED <= finder->length; finder->next++) {
    u32 *newest = &finder->newest[hash_of(finder, finder->next)];
    finder->before[finder->next] = *newest;
    *newest = finder->next + 1;
  }
}

static u32 common(const u8 *data, u32 a, u32 b, u32 most) {
  u32 n = 0;
  while (n < most && data[a + n] == data[b + n]) n++;
  return n;
}

/* About how many bits a repeat saves: a literal has six, a new distance as many as its number. */
static i32 gain_of(u32 length, u32 which, u32 back) {
  u32 price = which == NEW ? 10 + 31 - (u32)__builtin_clz(back | 1) : 5 + which;
  return 6 * (i32)length - (i32)price;
}

static void consider(const Finder *finder, u32 at, u32 which, u32 back, u32 most, Match *best) {
  u32 length = common(finder->data, at - back - 1, at, most);
  i32 gain = gain_of(length, which, back);
  if (length >= SHORTEST && gain > best->gain) *best = (Match){length, which, back, gain};
}

/* The repeat that gains most at a place, up to `end`. */
static Match find(Finder *finder, u32 at, u32 end, const Past *past) {
  Match best = {0};
  u32 most = end - at < LONGEST ? end - at : LONGEST;
  for (u32 which = 0; which < RECENT; which++)
    if (past->back[which] < at) consider(finder, at, which, past->back[which], most, &best);
  if (most < HASHED || at + HASHED > finder->length) return best;
  enter(finder, at);
  u32 from = finder->newest[hash_of(finder, at)];
  for (u32 tries = DEPTH; from != 0 && tries > 0 && best.length < most; tries--) {
    if (finder->data[from - 1 + best.length] == finder->data[at + best.length])
      consider(finder, at, NEW, at - from, most, &best);
    from = finder->before[from - 1];
  }
  return best;
}

/* The same, or no repeat where one that begins a byte later gains more. */
static Match choose(Finder *finder, u32 at, u32 end, const Past *past) {
  Match best = find(finder, at, end, past);
  if (best.length == 0 || best.length == LONGEST || end - at == 1) return best;
  Match later = find(finder, at + 1, end, past);
  return later.gain > best.gain + 5 ? (Match){0} : best;
}

#endif
