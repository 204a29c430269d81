/* The inverse: every step checks what it reads, because the bytes may be anyone's. */
#ifndef RANS0_DECODE_H
#define RANS0_DECODE_H

#include "format.h"

typedef struct {
  const u8 *at, *end;
  u64 bits;
  u32 count;
  bool short_of;           /* more bits were asked for than there are */
} Reader;

static u32 get(Reader *reader, u32 count) {
  while (reader->count < count) {
    if (reader->at == reader->end) {
      reader->short_of = true;
      return 0;
    }
    reader->bits |= (u64)*reader->at++ << reader->count;
    reader->count += 8;
  }
  u32 value = (u32)(reader->bits & (((u64)1 << count) - 1));
  reader->bits >>= count;
  reader->count -= count;
  return value;
}

/* Exponential Golomb code of order 0. Nothing in a header needs more than 17 leading zeros. */
static u32 get_count(Reader *reader) {
  u32 zeros = 0;
  while (get(reader, 1) == 0)
    if (++zeros > 17 || reader->short_of) {
      reader->short_of = true;
      return 0;
    }
  return (1u << zeros | get(reader, zeros)) - 1;
}

/* Up to this scale a step looks once into a table of cells: how far the slot lies from its symbol's
 * first in the highest twelve bits, the symbol's slots less one in the next, and the symbol. A
 * larger table would not stay near the core. */
enum { SMALL_SCALE = 12 };

typedef u32 Cells __attribute__((vector_size(16), aligned(4)));

/* A table as the decoder wants it, and the exponents that the next table may be predicted from. */
typedef struct {
  u8 symbol[(1 << MAX_SCALE) + 16];   /* of each slot, and room to write past the last */
  u32 cell[(1 << SMALL_SCALE) + 4];   /* of each slot up to that scale: all that a step wants */
  u32 range[256];              /* first slot << 16 | number of slots */
  u32 scale;
  u8 rest;
  u8 exponent[256];
} Table;

/* How far this symbol's exponent lies from what was predicted; never 0. */
static i32 get_step(Reader *reader, u32 predictor) {
  u32 folded = get_count(reader) + 1;
  if (predictor == FROM_ZERO) return (i32)folded;
  return folded & 1 ? -(i32)(folded / 2) - 1 : (i32)(folded / 2);
}

/* All frequencies but that of `rest`, which gets what the others leave. */
static bool read_frequencies(Reader *reader, Table *table, u32 rest, bool first, u32 *sum) {
  u32 precision = get(reader, 3) + 1, predictor = get(reader, 2);
  if (predictor > FROM_BLOCK || (first && predictor == FROM_BLOCK)) return false;
  u32 as_predicted = get_count(reader), before = 0;
  for (u32 s = 0; s < 256; s++) {
    if (s == rest) continue;
    u32 exponent = predictor == FROM_BLOCK ? table->exponent[s] : before;
    if (as_predicted > 0) {
      as_predicted--;
    } else {
      exponent += (u32)get_step(reader, predictor);
      as_predicted = get_count(reader);
    }
    if (exponent > table->scale || reader->short_of) return false;
    if (predictor == FROM_SYMBOL) before = exponent;
    u32 kept = exponent == 0 ? 0 : kept_bits(exponent, precision);
    table->exponent[s] = (u8)exponent;
    table->range[s] = exponent == 0 ? 0 : (1u << kept | get(reader, kept)) << (exponent - 1 - kept);
    *sum += table->range[s];
  }
  return as_predicted == 0;
}

/* A symbol's slots, some at a time, past the end of the run: what lies there is written after. */
static void fill_cells(u32 *cell, u32 symbol, u32 frequency) {
  Cells cells = (Cells){0, 1u << 20, 2u << 20, 3u << 20} + ((frequency - 1) << 8 | symbol);
  for (u32 i = 0; i < frequency; i += 4, cells += 4u << 20) *(Cells *)(cell + i) = cells;
}

static void fill_symbols(u8 *symbols, u32 symbol, u32 frequency) {
  Bytes all = (Bytes){} + (u8)symbol;
  for (u32 i = 0; i < frequency; i += 16) *(Bytes *)(symbols + i) = all;
}

/* One block's table. False when the bytes are not one that the encoder writes. */
static bool read_table(Reader *reader, Table *table, bool first) {
  table->scale = get(reader, 4);
  u32 rest = get(reader, 8), sum = 0, total = 1u << table->scale;
  if (table->scale > MAX_SCALE || reader->short_of) return false;
  if (table->scale == 0) {
    for (u32 s = 0; s < 256; s++) table->range[s] = table->exponent[s] = 0;
  } else if (!read_frequencies(reader, table, rest, first, &sum) || reader->short_of) {
    return false;
  }
  if (sum >= total) return false;
  table->rest = (u8)rest;
  table->range[rest] = total - sum;
  table->exponent[rest] = (u8)bit_length(total - sum);
  u32 start = 0;
  for (u32 s = 0; s < 256; s++) {
    u32 frequency = table->range[s];
    if (table->scale <= SMALL_SCALE)
      fill_cells(table->cell + start, s, frequency);
    else
      fill_symbols(table->symbol + start, s, frequency);
    table->range[s] = start << 16 | frequency;
    start += frequency;
  }
  return true;
}

typedef struct {
  u64 x[LANES];
  const u8 *at, *end;
} States;

/* The symbol of one state, and the state before it was coded: by cells, or for a larger scale by
 * two tables. */
#define STEP_BY_CELL(x, to)                                                  \
  do {                                                                       \
    u32 cell = table->cell[(u32)x & mask];                                   \
    x = (u64)((cell >> 8 & 0xfff) + 1) * (x >> scale) + (cell >> 20);        \
    to = (u8)cell;                                                           \
  } while (0)

#define STEP_BY_SYMBOL(x, to)                                                \
  do {                                                                       \
    u32 slot = (u32)x & mask;                                                \
    u8 s = table->symbol[slot];                                              \
    u32 range = table->range[s];                                             \
    x = (u64)(range & 0xffff) * (x >> scale) + slot - (range >> 16);         \
    to = s;                                                                  \
  } while (0)

#define STEP(x, to)                                                          \
  do {                                                                       \
    if (scale <= SMALL_SCALE)                                                \
      STEP_BY_CELL(x, to);                                                   \
    else                                                                     \
      STEP_BY_SYMBOL(x, to);                                                 \
  } while (0)

/* Read a word when the state is low. Without a branch: whether it is low is a coin toss. */
#define REFILL(x)                                                            \
  do {                                                                       \
    bool low = x < LOWEST;                                                   \
    u64 refilled = x << 32 | *(const Word *)word;                            \
    x = low ? refilled : x;                                                  \
    word += (u32)low << 2;                                                   \
  } while (0)

/* Symbols in turn from four states, as long as there are words for all of them. */
#define DECODE_IN_TURN(STEP)                                                 \
  while (last - i >= 4 && end - word >= 16) {                                \
    STEP(a, out[i]);                                                         \
    STEP(b, out[i + 1]);                                                     \
    STEP(c, out[i + 2]);                                                     \
    STEP(d, out[i + 3]);                                                     \
    REFILL(a);                                                               \
    REFILL(b);                                                               \
    REFILL(c);                                                               \
    REFILL(d);                                                               \
    i += 4;                                                                  \
  }

/* Symbols first to last of one block, in turn from four states. */
static bool decode_four(States *states, const Table *table, u8 *out, u32 first, u32 last) {
  const u32 scale = table->scale, mask = (1u << scale) - 1;
  const u8 *word = states->at, *end = states->end;
  u64 a = states->x[0], b = states->x[1], c = states->x[2], d = states->x[3];
  u32 i = first;
  if (scale <= SMALL_SCALE) {
    DECODE_IN_TURN(STEP_BY_CELL)
  } else {
    DECODE_IN_TURN(STEP_BY_SYMBOL)
  }
  states->x[0] = a, states->x[1] = b, states->x[2] = c, states->x[3] = d;
  for (; i < last; i++) {
    u64 x = states->x[i % LANES];
    STEP(x, out[i]);
    if (x < LOWEST) {
      if (end - word < 4) return false;
      x = x << 32 | *(const Word *)word;
      word += 4;
    }
    states->x[i % LANES] = x;
  }
  states->at = word;
  return true;
}

/* The same symbol over and over. */
static void fill(u8 *out, u8 symbol, u32 first, u32 last) {
  Bytes all = (Bytes){} + symbol;
  u32 i = first;
  for (; last - i >= 16; i += 16) *(Bytes *)(out + i) = all;
  for (; i < last; i++) out[i] = symbol;
}

/* The symbols of a block from one state. Coding began with it low, so it may be low when no words
 * are left. */
static void decode_one(States *states, const Table *table, u8 *out, u32 first, u32 last) {
  const u32 scale = table->scale, mask = (1u << scale) - 1;
  const u8 *word = states->at, *end = states->end;
  u64 x = states->x[0];
  for (u32 i = first; i < last; i++) {
    STEP(x, out[i]);
    if (x < LOWEST && end - word >= 4) {
      x = x << 32 | *(const Word *)word;
      word += 4;
    } else if (scale == 0) {
      /* An only symbol leaves the state as it is, so from here on nothing changes. */
      fill(out, table->rest, i, last);
      break;
    }
  }
  states->x[0] = x;
  states->at = word;
}

/* States of `bytes` bytes each, every one in its range and its shortest form. */
static bool read_states(States *states, u32 lanes, u32 bytes) {
  if ((u32)(states->end - states->at) < lanes * bytes) return false;
  for (u32 j = 0; j < lanes; j++) {
    u64 x = 0;
    for (u32 i = 0; i < bytes; i++) x |= (u64)*states->at++ << (8 * i);
    if (x < begin_of(lanes) || x >> 63 != 0) return false;
    if (lanes == 1 && x >> (8 * (bytes - 1)) == 0) return false;
    states->x[j] = x;
  }
  return true;
}

/* The header of the next block; gives how many symbols the block has, or 0 when it is malformed. */
static u32 read_header(States *states, Table *table, u32 lanes, u32 left, bool first) {
  Reader reader = {.at = states->at, .end = states->end};
  u32 span = left;
  if (lanes > 1) {
    u32 more = get_count(&reader);
    if (more > (left - 1) / ATOM) return 0;
    if (more < (left - 1) / ATOM) span = (more + 1) * ATOM;
  }
  if (!read_table(&reader, table, first) || reader.short_of) return 0;
  if (reader.bits != 0) return 0;   /* what fills the last byte is zero */
  states->at = reader.at;
  return span;
}

static bool decode_coded(States *states, u8 *out, u32 length, u32 mode, Table *table) {
  const u32 lanes = mode == FOUR ? LANES : 1;
  if ((lanes == 1) != (length < FEW)) return false;
  if (!read_states(states, lanes, lanes == 1 ? mode : 8)) return false;
  for (u32 i = 0; i < length;) {
    u32 span = read_header(states, table, lanes, length - i, i == 0);
    if (span == 0) return false;
    /* Four states are never low between symbols, so no words are taken. */
    if (table->scale == 0 && lanes > 1)
      fill(out, table->rest, i, i + span);
    else if (lanes == 1)
      decode_one(states, table, out, i, i + span);
    else if (!decode_four(states, table, out, i, i + span))
      return false;
    i += span;
  }
  /* The states are back where coding began, and nothing is left over. */
  bool clean = states->at == states->end;
  for (u32 j = 0; j < lanes; j++) clean &= states->x[j] == begin_of(lanes);
  return clean;
}

static u32 decode(Call *call) {
  const u8 *at = in_at(call, 0), *end = at + call->in[0].len;
  u32 length = 0, mode = STORED;
  if (at != end) {
    mode = *at++;
    length = (u32)(end - at);
    if (mode != STORED) at = read_length(at, end, MAX_LENGTH, &length);
    if (mode > FOUR || at == 0 || length == 0 || length > MAX_LENGTH) return MALFORMED;
  }
  u32 scratch = mode == STORED ? 0 : sizeof(Table);
  if (call->bound) {
    call->out[0].cap = length;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < length) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = length;
  u8 *out = out_at(call, 0);
  if (mode == STORED) {
    copy_bytes(out, at, length);
    return DONE;
  }
  States states = {.at = at, .end = end};
  Table *table = AT(Table, call->scratch->ptr);
  return decode_coded(&states, out, length, mode, table) ? DONE : MALFORMED;
}

#endif
