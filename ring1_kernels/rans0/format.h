/* The numbers of the format; spec.md says what they mean. */
#ifndef RANS0_FORMAT_H
#define RANS0_FORMAT_H

#include "../abi.h"
#include "../codec.h"

enum {
  FOUR = 9,                /* first byte: four states of eight bytes; 3 to 8: one of so many */
  ATOM = 8192,             /* blocks of data with four states end at multiples of this */
  FEW = 16384,             /* data shorter than this has one state and one block */
  LANES = 4,
  MAX_LENGTH = 1 << 30,
  MAX_SCALE = 14,
  MAX_PRECISION = 8,
};

/* States lie in [2^31, 2^63) between symbols, and coding begins at the lowest. Decoding must come
 * back to it exactly: a stream cut short or made up hardly ever does. An only state begins lower,
 * because two bytes more would be much for little data. */
#define LOWEST ((u64)1 << 31)
#define LOWEST_ALONE ((u64)1 << 16)

static inline u64 begin_of(u32 lanes) { return lanes == 1 ? LOWEST_ALONE : LOWEST; }

/* What the exponents in a table are predicted from. */
enum { FROM_ZERO = 0, FROM_SYMBOL = 1, FROM_BLOCK = 2 };

typedef u32 Word __attribute__((aligned(1)));

static inline u32 bit_length(u32 value) { return value == 0 ? 0 : 32 - (u32)__builtin_clz(value); }

/* How many bits of a frequency with this exponent are written: its leading 1 is not. */
static inline u32 kept_bits(u32 exponent, u32 precision) {
  return exponent < precision ? exponent - 1 : precision - 1;
}

#endif
