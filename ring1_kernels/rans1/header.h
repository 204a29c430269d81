/* A block's header, as anyone may have written it: every step checks what it reads. */
#ifndef RANS1_HEADER_H
#define RANS1_HEADER_H

#include "format.h"

enum { STEP_BYTES = 2 * STATES };   /* no step takes more than a word for every state */

typedef struct {
  const u8 *at, *end;
  u64 bits;
  u32 count;
  bool short_of;           /* more bits were asked for than there are */
} Reader;

/* At least 32 bits, zeros after the last. */
static inline void fill(Reader *reader) {
  if (reader->count >= 32) return;
  if (reader->end - reader->at >= 8) {
    reader->bits |= *(const Long *)reader->at << reader->count;
    u32 whole = (63 - reader->count) / 8;
    reader->at += whole;
    reader->count += 8 * whole;
    return;
  }
  for (; reader->count <= 56 && reader->at != reader->end; reader->count += 8)
    reader->bits |= (u64)*reader->at++ << reader->count;
}

static inline void drop(Reader *reader, u32 count) {
  if (count > reader->count) {
    reader->short_of = true;
    count = reader->count;
  }
  reader->count -= count;
  reader->bits >>= count;
}

static u32 get(Reader *reader, u32 count) {
  fill(reader);
  u32 value = (u32)(reader->bits & (((u64)1 << count) - 1));
  drop(reader, count);
  return value;
}

/* Exponential Golomb code of order 0. Nothing in a header needs more than 15 leading zeros. */
static u32 get_count(Reader *reader) {
  fill(reader);
  u32 zeros = (u32)__builtin_ctzll(reader->bits | 1 << 16);
  if (zeros > 15) {
    reader->short_of = true;
    return 0;
  }
  u32 value = (u32)(reader->bits >> (zeros + 1)) & ((1u << zeros) - 1);
  drop(reader, 2 * zeros + 1);
  return (1u << zeros | value) - 1;
}

/* Zeros up to the end of a byte; where that is, or 0. */
static const u8 *end_of(Reader *reader) {
  u32 rest = reader->count % 8;
  if (get(reader, rest) != 0 || reader->short_of) return 0;
  return reader->at - reader->count / 8;
}

/* Up to four cells past the last are written and never read. */
typedef u32 Cells __attribute__((vector_size(16), aligned(4)));

typedef struct {
  u32 width, lag, length;      /* in lanes */
  const u8 *at, *end;          /* what is left of the stream */
  Four x[STATES / 4], slots[STATES / 4];
  Four said[STATES / 4];       /* the addresses of the classes of the contexts at hand */
  u32 span, steps, scale, kind, classes;
  Levels levels;
  u32 class_at[CONTEXTS];      /* the address of the first cell of each context's class */
  u16 frequency[256];
  u8 exponent[256];            /* of the class before */
  u8 tail[4 * STEP_BYTES];     /* the last bytes of the stream, and zeros that are never taken */
  u32 *cells;                  /* of each slot: its place among its symbol's, their number, which */
  Sixteen *by_step;            /* the tokens of a block: of each step, then of each segment */
  u8 *in_line;
} Decoder;

/* How far this symbol's exponent lies from what was predicted; never 0. */
static i32 get_step(Reader *reader, u32 predictor) {
  u32 folded = get_count(reader) + 1;
  if (predictor == FROM_ZERO) return (i32)folded;
  return folded & 1 ? -(i32)(folded / 2) - 1 : (i32)(folded / 2);
}

/* All frequencies but that of `rest`, which gets what the others leave. */
static bool read_frequencies(Reader *reader, Decoder *decoder, u32 rest, u32 *sum) {
  u32 precision = get(reader, 3) + 1, predictor = get(reader, 2);
  if (predictor > FROM_CLASS) return false;
  u32 as_predicted = get_count(reader), before = 0, tokens = tokens_of(decoder->width);
  for (u32 s = 0; s < tokens; s++) {
    if (s == rest) continue;
    u32 exponent = predictor == FROM_CLASS ? decoder->exponent[s] : before;
    if (as_predicted > 0) {
      as_predicted--;
    } else {
      exponent += (u32)get_step(reader, predictor);
      as_predicted = get_count(reader);
    }
    if (exponent > decoder->scale || reader->short_of) return false;
    if (predictor == FROM_SYMBOL) before = exponent;
    decoder->exponent[s] = (u8)exponent;
    decoder->frequency[s] = 0;
    if (exponent == 0) continue;
    u32 kept = kept_bits(exponent, precision), leading = 1u << kept;
    if (kept > 0) leading |= get(reader, kept);
    leading <<= exponent - 1 - kept;
    decoder->frequency[s] = (u16)leading;
    *sum += leading;
  }
  return as_predicted == 0;
}

/* A symbol's cells, four at a time, past the end of the run: what lies there is written after. */
static void fill_cells(u32 *cell, u32 symbol, u32 frequency) {
  Cells cells = (Cells){0, 1u << 20, 2u << 20, 3u << 20} + ((frequency - 1) << 8 | symbol);
  for (u32 i = 0; i < frequency; i += 4, cells += 4u << 20) *(Cells *)(cell + i) = cells;
}

static bool read_class(Reader *reader, Decoder *decoder, u32 number) {
  u32 rest = get(reader, 8), sum = 0, total = 1u << decoder->scale;
  u32 tokens = tokens_of(decoder->width);
  if (rest >= tokens || !read_frequencies(reader, decoder, rest, &sum)) return false;
  if (sum >= total || reader->short_of) return false;
  decoder->frequency[rest] = (u16)(total - sum);
  decoder->exponent[rest] = (u8)bit_length(total - sum);
  u32 *cell = decoder->cells + (number << decoder->scale);
  for (u32 s = 0; s < tokens; s++) {
    u32 frequency = decoder->frequency[s];
    if (frequency == 0) continue;
    fill_cells(cell, s, frequency);
    cell += frequency;
  }
  return true;
}

/* A bit for each unit but the first: whether its level is one higher. */
static bool read_levels(Reader *reader, Decoder *decoder) {
  u8 *level = (u8 *)&decoder->levels;
  u32 units = units_of(decoder->width), high = 0;
  for (u32 i = 0; i < sizeof(Levels); i++) level[i] = 0;
  for (u32 i = 1; i < units; i++) {
    high += get(reader, 1);
    level[i] = (u8)high;
  }
  return high < 16;
}

/* The class of every context: runs of the same one. A class that was not yet named is the next. */
static bool read_map(Reader *reader, Decoder *decoder) {
  u32 contexts = contexts_of(decoder->kind, decoder->width), class = 0, same = get_count(reader);
  decoder->classes = 1;
  u32 cells = (u32)(uintptr_t)decoder->cells;
  for (u32 i = 0; i < CONTEXTS; i++) decoder->class_at[i] = cells;
  for (u32 i = 1; i < contexts; i++) {
    if (same > 0) {
      same--;
    } else {
      class = get(reader, bit_length(decoder->classes));
      if (class > decoder->classes || class == MAX_CLASSES) return false;
      decoder->classes += class == decoder->classes;
      same = get_count(reader);
    }
    decoder->class_at[i] = cells + (class << decoder->scale) * (u32)sizeof *decoder->cells;
  }
  return same == 0 && !reader->short_of;
}

/* The header of the next block, `left` lanes from the end. */
static bool read_header(Decoder *decoder, u32 left) {
  Reader reader = {.at = decoder->at, .end = decoder->end};
  u32 more = get_count(&reader);
  if (more >= MAX_ATOMS || more > (left - 1) / ATOM) return false;
  decoder->span = more == (left - 1) / ATOM ? left : (more + 1) * ATOM;
  decoder->steps = steps_of(decoder->span);
  decoder->kind = get(&reader, 2);
  decoder->scale = get(&reader, 4);
  if (decoder->scale > MAX_SCALE) return false;
  if (decoder->kind == BACK && decoder->lag == 0) return false;
  if (decoder->kind >= AVERAGE && !read_levels(&reader, decoder)) return false;
  if (!read_map(&reader, decoder)) return false;
  if (decoder->classes << decoder->scale > cells_of(decoder->length)) return false;
  for (u32 s = 0; s < 256; s++) decoder->exponent[s] = 0;
  for (u32 i = 0; i < decoder->classes; i++)
    if (!read_class(&reader, decoder, i)) return false;
  decoder->at = end_of(&reader);
  return decoder->at != 0;
}

#endif
