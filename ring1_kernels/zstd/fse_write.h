/* Finite state entropy, the writer's side: bits, counts made to fit a table, and its description. */
#ifndef ZSTD_FSE_WRITE_H
#define ZSTD_FSE_WRITE_H

#include "fse.h"

/* Bits to the front, lowest first. Whoever writes has made sure of the room, and of eight bytes
 * more. */
typedef struct {
  u8 *at;
  u64 bits;
  u32 count;
} Writer;

/* At most 32 bits. */
static inline void put(Writer *writer, u32 value, u32 count) {
  writer->bits |= (u64)value << writer->count;
  writer->count += count;
  *(Word64 *)writer->at = writer->bits;
  u32 whole = writer->count >> 3;
  writer->at += whole;
  writer->bits >>= 8 * whole;
  writer->count &= 7;
}

/* To a whole byte; gives where the next one is. */
static inline u8 *close(Writer *writer) {
  return writer->at + (writer->count > 0);
}

/* The same behind the mark that a reader from the back begins at. */
static inline u8 *close_marked(Writer *writer) {
  put(writer, 1, 1);
  return close(writer);
}

/* Logarithm to base 2 in 256ths, straight between powers of two. */
static u32 log_256(u32 value) {
  u32 high = highest_bit(value);
  return 256 * high + (u32)(((u64)value << 8 >> high) - 256);
}

/* Counts of `total` events brought to 1 << log slots, every event having one at least. */
static void fit(const u32 *count, u32 symbols, u32 total, u32 log, Counts *fitted) {
  i32 left = 1 << log;
  u32 largest = 0;
  fitted->log = log;
  fitted->symbols = symbols;
  for (u32 s = 0; s < symbols; s++) {
    u32 slots = (u32)((((u64)count[s] << log) + total / 2) / total);
    if (slots == 0 && count[s] != 0) slots = 1;
    fitted->count[s] = (short)slots;
    left -= (i32)slots;
    if (count[s] > count[largest]) largest = s;
  }
  for (; left > 0; left--) fitted->count[largest]++;
  while (left < 0) {
    u32 most = 0;
    for (u32 s = 1; s < symbols; s++)
      if (fitted->count[s] > fitted->count[most]) most = s;
    fitted->count[most]--;
    left++;
  }
}

/* A table's precision for so many events: enough for their kinds, no more than they can use. */
static u32 log_for(u32 total, u32 symbols, u32 max_log) {
  u32 log = total < 8 ? 5 : highest_bit(total - 1) - 1;
  u32 needed = highest_bit(symbols) + 2;
  if (log < needed) log = needed;
  if (log < 5) log = 5;
  return log < max_log ? log : max_log;
}

static void put_count(Writer *writer, u32 value, u32 left) {
  u32 bits = highest_bit(left + 1) + 1;
  u32 half = (1u << (bits - 1)) - 1, spare = (1u << bits) - 2 - left;
  if (value < spare)
    put(writer, value, bits - 1);
  else
    put(writer, value > half ? value + spare : value, bits);
}

/* The description that read_counts reads; gives where it ends. */
static u8 *write_counts(u8 *at, const Counts *counts) {
  Writer writer = {.at = at};
  u32 left = 1u << counts->log;
  put(&writer, counts->log - 5, 4);
  for (u32 s = 0; left > 0;) {
    u32 count = (u32)counts->count[s++];
    put_count(&writer, count + 1, left);
    left -= count;
    if (count != 0) continue;
    u32 run = 0;
    while (counts->count[s + run] == 0) run++;
    s += run;
    for (; run >= 3; run -= 3) put(&writer, 3, 2);
    put(&writer, run, 2);
  }
  return close(&writer);
}

/* Where a symbol's slots lie in the list of all slots, sorted by symbol, and how many it has. */
typedef struct {
  u16 place[1 << MAX_SEQUENCE_LOG];
  u16 start[64], slots[64];
  u32 log;
} Coder;

static void make_coder(const Counts *counts, Coder *coder) {
  u8 symbol[1 << MAX_SEQUENCE_LOG];
  u16 next[64];
  u32 start = 0;
  spread(counts, symbol);
  coder->log = counts->log;
  for (u32 s = 0; s < counts->symbols; s++) {
    coder->slots[s] = (u16)(counts->count[s] < 0 ? 1 : counts->count[s]);
    coder->start[s] = next[s] = (u16)start;
    start += coder->slots[s];
  }
  for (u32 i = 0; i < 1u << counts->log; i++) coder->place[next[symbol[i]]++] = (u16)i;
}

/* A state in which the symbol is what a reader finds, when nothing was read before. */
static u32 begin_with(const Coder *coder, u32 symbol) {
  return coder->place[coder->start[symbol]];
}

/* From a state to one of `symbol`, writing what leads back. */
static u32 go_to(const Coder *coder, Writer *writer, u32 state, u32 symbol) {
  u32 full = state + (1u << coder->log), slots = coder->slots[symbol];
  u32 bits = coder->log - highest_bit(slots);
  if (full >> bits < slots) bits--;
  put(writer, full & ((1u << bits) - 1), bits);
  return coder->place[coder->start[symbol] + (full >> bits) - slots];
}

#endif
