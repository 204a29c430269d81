/* Finite state entropy, the reader's side: descriptions of tables, and tables of any cell. */
#ifndef ZSTD_FSE_H
#define ZSTD_FSE_H

#include "format.h"

/* Bits from the front, lowest of each byte first. Past the end there are zeros, and `bit` tells. */
typedef struct {
  const u8 *at;
  u32 bytes, bit;
} Front;

static u32 peek(const Front *front, u32 count) {
  u32 value = 0, byte = front->bit >> 3;
  for (u32 i = 0; i < 3 && byte + i < front->bytes; i++) value |= (u32)front->at[byte + i] << (8 * i);
  return value >> (front->bit & 7) & ((1u << count) - 1);
}

/* The counts of a table, in slots out of 1 << log; 0 for symbols it has not. */
typedef struct {
  short count[256];
  u32 symbols, log;
} Counts;

/* One count: how many bits it takes depends on how many slots are left. */
static i32 read_count(Front *front, u32 left) {
  u32 bits = highest_bit(left + 1) + 1;
  u32 value = peek(front, bits), half = (1u << (bits - 1)) - 1, spare = (1u << bits) - 2 - left;
  front->bit += bits;
  if ((value & half) < spare) {
    front->bit--;
    value &= half;
  } else if (value > half) {
    value -= spare;
  }
  return (i32)value - 1;
}

/* The description of a table at `at`; gives how many bytes it takes, 0 when it is malformed. */
static u32 read_counts(const u8 *at, u32 bytes, u32 max_log, u32 max_symbols, Counts *counts) {
  Front front = {at, bytes, 4};
  if (bytes == 0) return 0;
  counts->log = (at[0] & 15) + 5u;
  if (counts->log > max_log) return 0;
  u32 left = 1u << counts->log, symbol = 0;
  while (left > 0) {
    if (symbol >= max_symbols || front.bit > 8 * bytes) return 0;
    i32 count = read_count(&front, left);
    u32 slots = count < 0 ? 1 : (u32)count;
    if (slots > left) return 0;
    left -= slots;
    counts->count[symbol++] = (short)count;
    for (u32 more = count == 0 ? 3 : 0; more == 3;) {
      more = peek(&front, 2);
      front.bit += 2;
      if (symbol + more > max_symbols) return 0;
      for (u32 i = 0; i < more; i++) counts->count[symbol++] = 0;
    }
  }
  counts->symbols = symbol;
  u32 taken = (front.bit + 7) / 8;
  return taken > bytes ? 0 : taken;
}

/* Which symbol each slot of the table has. */
static void spread(const Counts *counts, u8 *slot_symbol) {
  u32 size = 1u << counts->log, high = size;
  for (u32 s = 0; s < counts->symbols; s++)
    if (counts->count[s] < 0) slot_symbol[--high] = (u8)s;
  u32 step = (size >> 1) + (size >> 3) + 3, at = 0;
  for (u32 s = 0; s < counts->symbols; s++)
    for (i32 i = 0; i < counts->count[s]; i++) {
      slot_symbol[at] = (u8)s;
      do at = (at + step) & (size - 1);
      while (at >= high);
    }
}

/* How to leave a slot: `bits` are read and added to `next`. `rank` counts the symbol's slots. */
static inline u32 leave(u16 *rank, u32 log, u32 *next) {
  u32 state = (*rank)++;
  u32 bits = log - highest_bit(state);
  *next = (state << bits) - (1u << log);
  return bits;
}

/* Where the ranks of all symbols begin. */
static void first_ranks(const Counts *counts, u16 *rank) {
  for (u32 s = 0; s < counts->symbols; s++)
    rank[s] = counts->count[s] < 0 ? 1 : (u16)counts->count[s];
}

/* Bits from the back, the last byte's highest 1 being only the end mark. At most seven bytes before
 * `start` are looked at: there are always more, of the frame's and the block's header. */
typedef struct {
  const u8 *start, *at;
  u64 bits;        /* what is left of the eight bytes at `at`, at the top */
  u32 taken;       /* how many of their bits are gone */
} Back;

static inline bool open_back(Back *back, const u8 *start, const u8 *end) {
  if (start == end || end[-1] == 0) return false;
  back->start = start;
  back->at = end - 8;
  back->taken = 8 - highest_bit(end[-1]);
  back->bits = load64(back->at) << back->taken;
  return true;
}

/* Afterwards at least 57 bits are there; false when more were taken than there are. */
static inline bool refill(Back *back) {
  back->at -= back->taken >> 3;
  back->taken &= 7;
  if (back->at + 8 < back->start) return false;
  back->bits = load64(back->at) << back->taken;
  return true;
}

static inline u32 take(Back *back, u32 count) {
  u32 value = (u32)(back->bits >> 1 >> (63 - count));
  back->bits <<= count;
  back->taken += count;
  return value;
}

/* How many bits are left; negative when too many were taken. */
static inline i32 left_in(const Back *back) {
  return 8 * (i32)(back->at + 8 - back->start) - (i32)back->taken;
}

#endif
