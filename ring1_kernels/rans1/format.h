/* The numbers of the format, and what both directions do alike: tokens, contexts. See spec.md. */
#ifndef RANS1_FORMAT_H
#define RANS1_FORMAT_H

#include "../abi.h"
#include "../codec.h"

enum {
  CODED = 1,               /* first byte of what is coded */
  STATES = 16,
  ATOM = 1 << 15,          /* blocks end at multiples of this many lanes */
  MAX_ATOMS = 8,
  MAX_SPAN = ATOM * MAX_ATOMS,
  MAX_BYTES = 1 << 30,
  MAX_SCALE = 12,
  MAX_CLASSES = 64,
  MIN_CELLS = 1 << 12,     /* slots of all classes of a block together: they stay near the core */
  MAX_CELLS = 1 << 16,
  MAX_PRECISION = 8,
  CONTEXTS = 256,
  LOWEST = 1 << 16,        /* states lie in [2^16, 2^32) between symbols, and coding begins here */
};

/* What a lane's context is made of. */
enum { NOTHING = 0, BEFORE = 1, AVERAGE = 2, BACK = 3 };

/* What the exponents in a table are predicted from. */
enum { FROM_ZERO = 0, FROM_SYMBOL = 1, FROM_CLASS = 2 };

typedef u16 Word __attribute__((aligned(1)));
typedef u32 Stored __attribute__((aligned(1)));
typedef u64 Long __attribute__((aligned(1)));
typedef u32 Four __attribute__((vector_size(16)));
typedef int16_t Eight __attribute__((vector_size(16)));
typedef u8 Sixteen __attribute__((vector_size(16)));

#define INLINE static inline __attribute__((always_inline))

static inline u32 bit_length(u32 value) { return value == 0 ? 0 : 32 - (u32)__builtin_clz(value); }

/* How many bits of a frequency with this exponent are written: its leading 1 is not. */
static inline u32 kept_bits(u32 exponent, u32 precision) {
  return exponent < precision ? exponent - 1 : precision - 1;
}

/* Tokens of lanes of this width: bytes are their own, of others there are four for each length. */
static inline u32 tokens_of(u32 width) { return width == 1 ? 256 : 32 * width - 4; }

/* So many low bits of a lane stand beside its token. */
static inline u32 low_bits(u32 token) {
  u32 fours = token >> 2;
  return fours - (fours != 0);
}

/* Units of tokens that have one level: each below 16, then four at a time. */
enum { FINE = 16, UNITS = FINE + 60 };

static inline u32 unit_of(u32 token) { return token < FINE ? token : FINE - 4 + (token >> 2); }

static inline u32 units_of(u32 width) { return unit_of(tokens_of(width) - 1) + 1; }

/* How many slots the classes of a block may have together, where so many lanes are coded. */
static inline u32 cells_of(u32 lanes) {
  if (lanes >= MAX_CELLS / 2) return MAX_CELLS;
  u32 cells = 1u << bit_length(lanes);
  return cells < MIN_CELLS ? MIN_CELLS : cells;
}

static inline u32 contexts_of(u32 kind, u32 width) {
  if (kind == NOTHING) return 1;
  return kind == BEFORE ? tokens_of(width) : CONTEXTS;
}

/* Lanes in each of the sixteen segments of a block. */
static inline u32 steps_of(u32 span) { return (span + STATES - 1) / STATES; }

/* The level of each unit, as lookups of sixteen at once want them. */
typedef struct { Sixteen part[UNITS / 16 + 1]; } Levels;

/* Bytes of a table by sixteen indices; 0 where the index is past its end. */
INLINE Sixteen pick(Sixteen table, Sixteen index) {
#ifdef __wasm__
  typedef signed char Signed __attribute__((vector_size(16)));
  return (Sixteen)__builtin_wasm_swizzle_i8x16((Signed)table, (Signed)index);
#else
  Sixteen picked = {0};
  for (u32 i = 0; i < 16; i++)
    if (index[i] < 16) picked[i] = table[index[i]];
  return picked;
#endif
}

/* Units of tokens below 80 lie in the first two parts; no lanes of two bytes have others. */
INLINE Sixteen levels_of(const Levels *levels, Sixteen tokens, bool few) {
  Sixteen coarse = (tokens >> 2) - 4;
  Sixteen level = pick(levels->part[0], tokens) | pick(levels->part[1], coarse);
  if (few) return level;
  return level | pick(levels->part[2], coarse - 16) | pick(levels->part[3], coarse - 32) |
         pick(levels->part[4], coarse - 48);
}

/* The running averages of the sixteen segments, in 1/128 of a token. */
typedef struct { Eight low, high; } Averages;

INLINE Sixteen rounded_down(const Averages *averages) {
  Sixteen low = (Sixteen)(averages->low >> 7), high = (Sixteen)(averages->high >> 7);
  return __builtin_shufflevector(low, high, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28,
                                 30);
}

INLINE void follow(Averages *averages, Sixteen tokens) {
  Sixteen none = {0};
  Eight low = (Eight)__builtin_shufflevector(tokens, none, 0, 16, 1, 16, 2, 16, 3, 16, 4, 16, 5, 16,
                                             6, 16, 7, 16);
  Eight high = (Eight)__builtin_shufflevector(tokens, none, 8, 16, 9, 16, 10, 16, 11, 16, 12, 16,
                                              13, 16, 14, 16, 15, 16);
  averages->low += ((low << 7) - averages->low) >> 3;
  averages->high += ((high << 7) - averages->high) >> 3;
}

/* The contexts of lane `step + 1` of every segment, given the tokens up to lane `step`, which stand
 * by steps: sixteen of one step are neighbours. */
INLINE Sixteen contexts_after(const Sixteen *tokens, u32 step, u32 kind, u32 lag,
                                     const Levels *levels, bool few, Averages *averages) {
  Sixteen before = tokens[step];
  if (kind == NOTHING) return (Sixteen){0};
  if (kind == BEFORE) return before;
  Sixteen other;
  if (kind == BACK && step + 1 >= lag) {
    other = tokens[step + 1 - lag];
  } else {
    follow(averages, before);
    other = rounded_down(averages);
  }
  return levels_of(levels, before, few) << 4 | levels_of(levels, other, few);
}

#endif
