/* Range coding of one bit at a time with its chance, the same steps for both directions. */
#ifndef LZ_MIX_RANGE_H
#define LZ_MIX_RANGE_H

#include "../abi.h"

/* What is left of the range is low .. high, both included; `code` is where the reader stands.
 * `at` may run past `end`: behind it a reader finds zeros, and a writer writes nothing. */
typedef struct {
  u32 low, high, code;
  u8 *at, *end;
  u32 past;                /* how many bytes were asked for behind the end */
} Range;

ALWAYS u32 next_byte(Range *range) {
  if (range->at != range->end) return *range->at++;
  range->past++;
  return 0;
}

ALWAYS void put_byte(Range *range, u32 byte) {
  if (range->at != range->end)
    *range->at++ = (u8)byte;
  else
    range->past++;
}

static void begin_reading(Range *range) {
  range->high = ~0u;
  for (u32 i = 0; i < 4; i++) range->code = range->code << 8 | next_byte(range);
}

/* One bit, whose chance to be 1 is p / 65536, 0 < p < 65536. */
ALWAYS u32 code_bit(Range *range, bool reading, u32 p, u32 bit) {
  u32 middle = range->low + (u32)(((u64)(range->high - range->low) * p) >> 16);
  if (reading) bit = range->code <= middle;
  if (bit)
    range->high = middle;
  else
    range->low = middle + 1;
  while (((range->low ^ range->high) >> 24) == 0) {
    if (reading)
      range->code = range->code << 8 | next_byte(range);
    else
      put_byte(range, range->low >> 24);
    range->low <<= 8;
    range->high = range->high << 8 | 255;
  }
  return bit;
}

/* Of all that lies in the range, what ends in most zeros. Its highest byte is not 0: that of `high`
 * never is. */
static u32 ending(const Range *range) {
  for (u32 shift = 24;; shift -= 8) {
    u32 value = range->high >> shift << shift;
    if (value >= range->low) return value;
  }
}

/* The bytes of the ending; zeros behind them are not written. */
static void end_writing(Range *range) {
  for (u32 value = ending(range); value != 0; value <<= 8) put_byte(range, value >> 24);
}

/* Whether the reader stands where a writer ends, with nothing left over. */
static bool is_at_end(const Range *range) {
  return range->at == range->end && range->code == ending(range);
}

#endif
