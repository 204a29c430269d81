/* The forward operation: where the blocks end, which table each gets, and the words. */
#ifndef RANS0_ENCODE_H
#define RANS0_ENCODE_H

#include "format.h"

/* Costs are in 1/65536 bit. They steer choices and never reach the stream. */
typedef u64 Cost;

#define BITS(count) ((Cost)(count) << 16)

typedef struct {
  u32 span;                    /* symbols in the block */
  u8 scale, precision, predictor, rest;
  u16 frequency[256];
} Block;

typedef struct {
  u32 parts[4][256];           /* counts of every fourth byte: repeats do not wait for each other */
  u32 counts[256];
  u32 atom[256];
  u32 range[256];              /* first slot << 16 | number of slots */
  u8 header[2048];
  Block trial;
  u32 n_blocks;
  Block blocks[];
} Encoder;

/* log2 of a count from 1, within 0.0002: the exponent, and a polynomial for the fraction. */
static u32 log2_of(u32 value) {
  u32 exponent = bit_length(value) - 1;
  i32 t = (i32)(value << (31 - exponent) >> 15 & 0xffff);
  i32 bend = ((5263 * t >> 16) - 15512) * t / 65536 + 28710;
  return (exponent << 16) + (u32)t + ((((u32)t * (u32)(65536 - t)) >> 16) * (u32)bend >> 16);
}

/* What the symbols of these counts cost at their own entropy, with a guess at their table. */
static Cost entropy(const u32 *counts, const u32 *more) {
  u32 total = 0, distinct = 0;
  Cost saved = 0;
  for (u32 s = 0; s < 256; s++) {
    u32 count = counts[s] + more[s];
    if (count == 0) continue;
    total += count;
    distinct++;
    saved += (Cost)count * log2_of(count);
  }
  return (Cost)total * log2_of(total) - saved + BITS(40 + 4 * distinct);
}

static void count_bytes(const u8 *in, u32 length, u32 parts[4][256], u32 *counts) {
  for (u32 s = 0; s < 256; s++) parts[0][s] = parts[1][s] = parts[2][s] = parts[3][s] = 0;
  u32 i = 0;
  for (; i + 4 <= length; i += 4)
    for (u32 j = 0; j < 4; j++) parts[j][in[i + j]]++;
  for (; i < length; i++) parts[0][in[i]]++;
  for (u32 s = 0; s < 256; s++) counts[s] = parts[0][s] + parts[1][s] + parts[2][s] + parts[3][s];
}

/* Bits, lowest first. Without a place to put them they are only counted. */
typedef struct {
  u8 *at;
  u64 bits;
  u32 count, total;
} Writer;

static void put(Writer *writer, u32 value, u32 count) {
  writer->total += count;
  if (writer->at == 0) return;
  writer->bits |= (u64)value << writer->count;
  for (writer->count += count; writer->count >= 8; writer->count -= 8) {
    *writer->at++ = (u8)writer->bits;
    writer->bits >>= 8;
  }
}

static void put_count(Writer *writer, u32 value) {
  u32 zeros = bit_length(value + 1) - 1;
  put(writer, 0, zeros);
  put(writer, 1, 1);
  put(writer, value + 1 - (1u << zeros), zeros);
}

static void put_step(Writer *writer, u32 predictor, u32 exponent, u32 predicted) {
  if (predictor == FROM_ZERO)
    put_count(writer, exponent - 1);
  else if (exponent > predicted)
    put_count(writer, 2 * (exponent - predicted) - 1);
  else
    put_count(writer, 2 * (predicted - exponent) - 2);
}

/* The exponents of a table beside what they are predicted to be, for all symbols but `rest`. */
typedef struct {
  u32 n;
  u8 symbol[256], exponent[256], predicted[256];
} Exponents;

static void list_exponents(Exponents *list, const Block *block, const Block *previous) {
  u32 n = 0, before = 0;
  for (u32 s = 0; s < 256; s++) {
    if (s == block->rest) continue;
    u32 exponent = bit_length(block->frequency[s]);
    u32 predicted = block->predictor == FROM_BLOCK ? bit_length(previous->frequency[s]) : before;
    if (block->predictor == FROM_SYMBOL) before = exponent;
    list->symbol[n] = (u8)s;
    list->exponent[n] = (u8)exponent;
    list->predicted[n] = (u8)predicted;
    n++;
  }
  list->n = n;
}

static void put_run(Writer *writer, const Exponents *list, u32 from) {
  u32 to = from;
  while (to < list->n && list->exponent[to] == list->predicted[to]) to++;
  put_count(writer, to - from);
}

/* The table of one block, as read_table takes it. */
static void put_table(Writer *writer, const Block *block, const Block *previous) {
  put(writer, block->scale, 4);
  put(writer, block->rest, 8);
  if (block->scale == 0) return;
  put(writer, block->precision - 1u, 3);
  put(writer, block->predictor, 2);
  Exponents list;
  list_exponents(&list, block, previous);
  put_run(writer, &list, 0);
  for (u32 i = 0; i < list.n; i++) {
    u32 exponent = list.exponent[i];
    if (exponent != list.predicted[i]) {
      put_step(writer, block->predictor, exponent, list.predicted[i]);
      put_run(writer, &list, i + 1);
    }
    if (exponent == 0) continue;
    u32 kept = kept_bits(exponent, block->precision);
    u32 below = block->frequency[list.symbol[i]] - (1u << (exponent - 1));
    put(writer, below >> (exponent - 1 - kept), kept);
  }
}

static u32 table_bits(const Block *block, const Block *previous) {
  Writer writer = {0};
  put_table(&writer, block, previous);
  return writer.total;
}

/* `value` with at most `precision` bits between its first and its last 1: the nearest such number,
 * or the next lower one. */
static u32 rounded(u32 value, u32 precision, bool down) {
  u32 exponent = bit_length(value);
  if (exponent <= precision) return value;
  u32 dropped = exponent - precision;
  return (value + (down ? 0 : 1u << (dropped - 1))) >> dropped << dropped;
}

/* Frequencies for these counts; false when they leave nothing to `rest`. Rounding to the nearest
 * can do that, and rounding down from a share of what is left after one slot for each never does.
 */
static bool set_frequencies(Block *block, const u32 *counts, u32 distinct, bool down) {
  u32 range = 1u << block->scale, sum = 0;
  for (u32 s = 0; s < 256; s++) {
    u32 frequency = 0;
    if (counts[s] != 0 && s != block->rest) {
      if (down)
        frequency = 1 + (u32)((u64)counts[s] * (range - distinct) / block->span);
      else
        frequency = (u32)((((u64)counts[s] << block->scale) + block->span / 2) / block->span);
      frequency = rounded(frequency == 0 ? 1 : frequency, block->precision, down);
      sum += frequency;
    }
    block->frequency[s] = (u16)frequency;
  }
  block->frequency[block->rest] = (u16)(range - sum);
  return sum < range;
}

/* Give the block its frequencies, and say what it then costs. */
static Cost fit(Block *block, const u32 *counts, u32 distinct, u32 scale, u32 precision,
                const Block *previous) {
  block->scale = (u8)scale;
  block->precision = (u8)precision;
  if (!set_frequencies(block, counts, distinct, false))
    set_frequencies(block, counts, distinct, true);
  Cost cost = 0;
  for (u32 s = 0; s < 256; s++)
    if (counts[s] != 0) cost += (Cost)counts[s] * ((scale << 16) - log2_of(block->frequency[s]));
  return cost + BITS(table_bits(block, previous));
}

static void keep_better(Block *best, Cost *cost, const Block *trial, Cost cost_of_trial) {
  if (cost_of_trial >= *cost) return;
  *cost = cost_of_trial;
  *best = *trial;
}

/* The cheapest table for a block of `span` symbols with these counts. */
static void choose_table(Block *best, const u32 *counts, u32 span, const Block *previous,
                         Block *trial) {
  u32 distinct = 0, rest = 0;
  for (u32 s = 0; s < 256; s++) {
    distinct += counts[s] != 0;
    if (counts[s] > counts[rest]) rest = s;
  }
  trial->span = span;
  trial->rest = (u8)rest;
  trial->predictor = FROM_SYMBOL;
  Cost cost = ~(Cost)0;
  if (distinct == 1) {
    keep_better(best, &cost, trial, fit(trial, counts, distinct, 0, 1, previous));
    return;
  }
  u32 least = bit_length(distinct - 1), most = bit_length(span);
  if (most > MAX_SCALE) most = MAX_SCALE;
  if (most < least + 1) most = least + 1;
  if (least + 6 < most) least = most - 6;
  for (u32 scale = least; scale <= most; scale++)
    keep_better(best, &cost, trial, fit(trial, counts, distinct, scale, 4, previous));
  u32 scale = best->scale;
  for (u32 precision = 1; precision <= MAX_PRECISION; precision++)
    if (precision != 4)
      keep_better(best, &cost, trial, fit(trial, counts, distinct, scale, precision, previous));
  u32 bits = table_bits(best, previous), predictor = FROM_SYMBOL;
  for (u32 other = FROM_ZERO; other <= (previous == 0 ? FROM_SYMBOL : FROM_BLOCK); other++) {
    best->predictor = (u8)other;
    u32 other_bits = table_bits(best, previous);
    if (other_bits < bits) bits = other_bits, predictor = other;
  }
  best->predictor = (u8)predictor;
}

static void add_block(Encoder *encoder, const u32 *counts, u32 span) {
  Block *block = encoder->blocks + encoder->n_blocks;
  const Block *previous = encoder->n_blocks == 0 ? 0 : block - 1;
  choose_table(block, counts, span, previous, &encoder->trial);
  encoder->n_blocks++;
}

/* Where statistics change, a new table pays for itself: blocks grow atom by atom as long as one
 * table for both is cheaper than two. */
static void choose_blocks(Encoder *encoder, const u8 *in, u32 length) {
  static const u32 nothing[256];
  u32 *counts = encoder->counts, *atom = encoder->atom;
  u32 first = length < FEW ? length : ATOM, begin = 0;
  encoder->n_blocks = 0;
  count_bytes(in, first, encoder->parts, counts);
  Cost cost = entropy(counts, nothing);
  for (u32 i = first; i < length;) {
    u32 span = length - i < ATOM ? length - i : ATOM;
    count_bytes(in + i, span, encoder->parts, atom);
    Cost alone = entropy(atom, nothing), joined = entropy(counts, atom);
    if (joined <= cost + alone) {
      for (u32 s = 0; s < 256; s++) counts[s] += atom[s];
      cost = joined;
    } else {
      add_block(encoder, counts, i - begin);
      begin = i;
      for (u32 s = 0; s < 256; s++) counts[s] = atom[s];
      cost = alone;
    }
    i += span;
  }
  add_block(encoder, counts, length - begin);
}

typedef struct {
  u64 x[LANES];
  u8 *at, *floor;          /* words go below `at`, never below `floor` */
} Stack;

/* Put one symbol into a state; first a word leaves it if it would grow past 2^63. */
#define PUSH(x, s)                                                  \
  do {                                                              \
    u32 range = ranges[s];                                          \
    u64 frequency = range & 0xffff;                                 \
    if (x >= frequency << room) {                                   \
      if (at - floor < 4) return false;                             \
      at -= 4;                                                      \
      *(Word *)at = (u32)x;                                         \
      x >>= 32;                                                     \
    }                                                               \
    u64 turns = x / frequency;                                      \
    x = (turns << scale) + (x - turns * frequency) + (range >> 16); \
  } while (0)

/* The symbols of one block, last to first. False when there is no room. */
static bool push_block(Stack *stack, const u8 *in, u32 first, u32 last, u32 lanes, u32 scale,
                       const u32 *ranges) {
  const u32 room = 63 - scale;
  u8 *at = stack->at, *const floor = stack->floor;
  u32 i = last;
  for (; i > first && (lanes == 1 || i % LANES != 0); i--)
    PUSH(stack->x[lanes == 1 ? 0 : (i - 1) % LANES], in[i - 1]);
  u64 a = stack->x[0], b = stack->x[1], c = stack->x[2], d = stack->x[3];
  for (; i > first; i -= 4) {
    PUSH(d, in[i - 1]);
    PUSH(c, in[i - 2]);
    PUSH(b, in[i - 3]);
    PUSH(a, in[i - 4]);
  }
  stack->x[0] = a, stack->x[1] = b, stack->x[2] = c, stack->x[3] = d;
  stack->at = at;
  return true;
}

static bool put_block(Encoder *encoder, Stack *stack, const u8 *in, u32 number, u32 first,
                      u32 lanes) {
  const Block *block = encoder->blocks + number;
  u32 start = 0;
  for (u32 s = 0; s < 256; s++) {
    encoder->range[s] = start << 16 | block->frequency[s];
    start += block->frequency[s];
  }
  if (block->scale != 0 && !push_block(stack, in, first, first + block->span, lanes, block->scale,
                                       encoder->range))
    return false;
  Writer writer = {.at = encoder->header};
  if (lanes > 1) put_count(&writer, (block->span - 1) / ATOM);
  put_table(&writer, block, number == 0 ? 0 : block - 1);
  put(&writer, 0, -writer.total & 7);
  u32 bytes = writer.total / 8;
  if (stack->at - stack->floor < (i32)bytes) return false;
  stack->at -= bytes;
  copy_bytes(stack->at, encoder->header, bytes);
  return true;
}

/* Everything but the mode, from `out + length` downwards. */
static bool put_blocks(Encoder *encoder, Stack *stack, const u8 *in, u32 length, u32 lanes) {
  choose_blocks(encoder, in, length);
  u32 first = length;
  for (u32 number = encoder->n_blocks; number-- > 0;) {
    first -= encoder->blocks[number].span;
    if (!put_block(encoder, stack, in, number, first, lanes)) return false;
  }
  return true;
}

/* The mode, the length and the states, then the blocks that lie at the end of `out` move down.
 * Gives the length of the stream, or 0 when it is longer than the data. */
static u32 put_front(const Stack *stack, u8 *out, u32 length, u32 lanes) {
  u8 front[5 + 8 * LANES + 1];
  u32 n = 1;
  for (u32 rest = length; (front[n++] = (u8)(rest & 0x7f)), rest >>= 7;) front[n - 1] |= 0x80;
  u32 bytes = 8;
  if (lanes == 1) bytes = (u32)(71 - __builtin_clzll(stack->x[0])) / 8;
  front[0] = lanes == 1 ? (u8)bytes : FOUR;
  for (u32 j = 0; j < lanes; j++)
    for (u32 i = 0; i < bytes; i++) front[n++] = (u8)(stack->x[j] >> (8 * i));
  u32 body = (u32)(out + length - stack->at);
  if (n + body > length) return 0;
  copy_bytes(out + n, stack->at, body);
  copy_bytes(out, front, n);
  return n + body;
}

static u32 encode_coded(Encoder *encoder, const u8 *in, u8 *out, u32 length) {
  const u32 lanes = length < FEW ? 1 : LANES;
  Stack stack = {.at = out + length, .floor = out};
  for (u32 j = 0; j < LANES; j++) stack.x[j] = begin_of(lanes);
  if (!put_blocks(encoder, &stack, in, length, lanes)) return 0;
  return put_front(&stack, out, length, lanes);
}

static u32 encode(Call *call) {
  u32 length = call->in[0].len;
  if (length > MAX_LENGTH) return OUTSIDE_DOMAIN;
  u32 cap = length == 0 ? 0 : length + 1;
  u32 blocks = length < FEW ? 1 : (length + ATOM - 1) / ATOM;
  u32 scratch = length == 0 ? 0 : (u32)sizeof(Encoder) + blocks * (u32)sizeof(Block);
  if (call->bound) {
    call->out[0].cap = cap;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < cap) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = 0;
  if (length == 0) return DONE;
  const u8 *in = in_at(call, 0);
  u8 *out = out_at(call, 0);
  u32 coded = encode_coded(AT(Encoder, call->scratch->ptr), in, out, length);
  if (coded == 0) {
    out[0] = STORED;
    copy_bytes(out + 1, in, length);
    coded = length + 1;
  }
  call->out[0].len = coded;
  return DONE;
}

#endif
