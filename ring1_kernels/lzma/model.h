/* What both directions learn from the past: a chance for every bit that a stream may hold. */
#ifndef LZMA_MODEL_H
#define LZMA_MODEL_H

#include "../abi.h"

#define ALWAYS static inline __attribute__((always_inline))

/* A chance is that of a 0, in 2048ths; each bit moves it by a 32nd of what is missing. */
typedef u16 Chance;
enum { CHANCE_BITS = 11, CERTAIN = 1 << CHANCE_BITS, EVEN = CERTAIN / 2, MOVE = 5 };

enum { STATES = 12, FIRST_NOT_LITERAL = 7, PLACES = 16, MOST_SPLIT = 4, LITERAL = 0x300 };
enum { SHORTEST = 2, LONGEST = 273, LENGTH_KINDS = 4, NEAR_SLOTS = 14, ALIGN_BITS = 4 };

typedef struct {
  Chance more, most;       /* not the shortest eight; not the next eight either */
  Chance low[PLACES][8], middle[PLACES][8], high[256];
} Lengths;

/* Nothing but chances, so that all are set alike; the literals last, of which few may be used. */
typedef struct {
  Chance is_match[STATES][PLACES], is_recent[STATES];
  Chance not_first[STATES], not_second[STATES], not_third[STATES], is_long[STATES][PLACES];
  Chance slot[LENGTH_KINDS][64], near[128], align[1 << ALIGN_BITS];
  Lengths match, recent;
  Chance literal[1 << MOST_SPLIT][LITERAL];
} Chances;

/* How places and the bytes before them choose a chance: lc, lp and pb of the format. */
typedef struct {
  u32 before_bits, literal_places, places;     /* the latter two as masks */
} Properties;

/* What came last: the kinds of the last symbols, and the last four distances less one. */
typedef struct {
  u32 state, back[4];
} Past;

static void forget(Chances *chances, const Properties *properties) {
  u32 literals = LITERAL * (properties->literal_places + 1) << properties->before_bits;
  u32 count = (u32)(offsetof(Chances, literal) / sizeof(Chance)) + literals;
  Chance *all = (Chance *)chances;
  for (u32 i = 0; i < count; i++) all[i] = EVEN;
}

ALWAYS Chance *literal_chances(Chances *chances, const Properties *properties, u32 place, u32 before) {
  u32 bits = properties->before_bits;
  return chances->literal[((place & properties->literal_places) << bits) + (before >> (8 - bits))];
}

ALWAYS u32 after_literal(u32 state) { return state < 4 ? 0 : state < 10 ? state - 3 : state - 6; }
ALWAYS u32 after_match(u32 state) { return state < FIRST_NOT_LITERAL ? 7 : 10; }
ALWAYS u32 after_recent(u32 state) { return state < FIRST_NOT_LITERAL ? 8 : 11; }
ALWAYS u32 after_single(u32 state) { return state < FIRST_NOT_LITERAL ? 9 : 11; }

/* Distances are coded in one of four ways, by the length. */
ALWAYS u32 length_kind(u32 length) {
  return length < SHORTEST + LENGTH_KINDS ? length - SHORTEST : LENGTH_KINDS - 1;
}

#endif
