/* Huffman coded literals: the tree from its weights, then one stream or four. */
#ifndef ZSTD_HUFFMAN_H
#define ZSTD_HUFFMAN_H

#include "fse.h"

/* Of the next eleven bits: the symbol in the high byte, how many of them are its code in the low. */
typedef struct {
  u16 cell[1 << MAX_HUFFMAN_BITS];
  bool there;
} Tree;

typedef struct {
  u8 symbol, bits;
  u16 next;
} WeightCell;

/* Weights written by finite state entropy, with two states that take turns. 0 when malformed. */
static u32 read_coded_weights(const u8 *at, u32 bytes, u8 *weights) {
  Counts counts;
  WeightCell table[1 << MAX_WEIGHT_LOG];
  u8 symbol[1 << MAX_WEIGHT_LOG];
  u16 rank[256];
  u32 head = read_counts(at, bytes, MAX_WEIGHT_LOG, MAX_HUFFMAN_BITS + 2, &counts);
  Back back;
  if (head == 0 || !open_back(&back, at + head, at + bytes)) return 0;
  spread(&counts, symbol);
  first_ranks(&counts, rank);
  for (u32 i = 0; i < 1u << counts.log; i++) {
    u32 next, bits = leave(&rank[symbol[i]], counts.log, &next);
    table[i] = (WeightCell){symbol[i], (u8)bits, (u16)next};
  }
  u32 state[2] = {take(&back, counts.log), take(&back, counts.log)};
  if (left_in(&back) < 0) return 0;
  for (u32 count = 0; count < 254;) {
    WeightCell cell = table[state[count & 1]];
    weights[count++] = cell.symbol;
    if (left_in(&back) < (i32)cell.bits) {
      /* The state that cannot move on is done; the other one gives its last symbol. */
      weights[count] = table[state[count & 1]].symbol;
      return count + 1;
    }
    state[(count - 1) & 1] = cell.next + take(&back, cell.bits);
    if (!refill(&back)) return 0;
  }
  return 0;
}

/* The tree's description; gives the bytes it takes and how many weights it has, 0 when malformed. */
static u32 read_weights(const u8 *at, u32 bytes, u8 *weights, u32 *count) {
  if (bytes == 0) return 0;
  u32 head = at[0];
  if (head < 128) {
    if (head >= bytes) return 0;
    *count = read_coded_weights(at + 1, head, weights);
    return *count == 0 ? 0 : head + 1;
  }
  *count = head - 127;
  u32 taken = 1 + (*count + 1) / 2;
  if (taken > bytes) return 0;
  for (u32 i = 0; i < *count; i++) weights[i] = i & 1 ? at[1 + i / 2] & 15 : at[1 + i / 2] >> 4;
  return taken;
}

/* The last symbol has no weight of its own: its code is what the others leave. */
static bool last_weight(u8 *weights, u32 *count, u32 *max_bits) {
  u32 sum = 0;
  for (u32 i = 0; i < *count; i++) {
    if (weights[i] > MAX_HUFFMAN_BITS) return false;
    sum += weights[i] == 0 ? 0 : 1u << (weights[i] - 1);
  }
  if (sum == 0) return false;
  *max_bits = highest_bit(sum) + 1;
  u32 rest = (1u << *max_bits) - sum;
  if (*max_bits > MAX_HUFFMAN_BITS || (rest & (rest - 1)) != 0) return false;
  weights[(*count)++] = (u8)(highest_bit(rest) + 1);
  return true;
}

/* A tree from its description; gives the bytes that took, 0 when malformed. */
static u32 read_tree(const u8 *at, u32 bytes, Tree *tree) {
  u8 weights[256];
  u32 count, max_bits, start[MAX_HUFFMAN_BITS + 2] = {0}, next = 0;
  u32 taken = read_weights(at, bytes, weights, &count);
  if (taken == 0 || !last_weight(weights, &count, &max_bits)) return 0;
  for (u32 i = 0; i < count; i++) start[weights[i]]++;
  if (start[1] < 2 || (start[1] & 1) != 0) return 0;   /* the longest codes come in pairs */
  u32 scale = MAX_HUFFMAN_BITS - max_bits;
  for (u32 w = 1; w <= max_bits; w++) {
    u32 of_weight = start[w];
    start[w] = next;
    next += of_weight << (w - 1 + scale);
  }
  for (u32 i = 0; i < count; i++) {
    if (weights[i] == 0) continue;
    u16 cell = (u16)(i << 8 | (max_bits + 1 - weights[i]));
    u32 slots = 1u << (weights[i] - 1 + scale);
    u16 *to = tree->cell + start[weights[i]];
    for (u32 j = 0; j < slots; j++) to[j] = cell;
    start[weights[i]] += slots;
  }
  tree->there = true;
  return taken;
}

/* One stream to its end, from where `back` stands. The next bits stand at the top of `bits`, under
 * them zeros but for one mark, whose place tells how many are gone. */
typedef struct {
  const u8 *start, *at;
  u64 bits;
} Stream;

#define MARKED(at) (load64(at) | 1)

static inline bool open_stream(Stream *stream, const u8 *start, const u8 *end) {
  if (start >= end || end[-1] == 0) return false;
  *stream = (Stream){start, end - 8, MARKED(end - 8) << (8 - highest_bit(end[-1]))};
  return true;
}

#define DECODE(bits, to)                                       \
  do {                                                         \
    u32 cell = table[bits >> (64 - MAX_HUFFMAN_BITS)];         \
    bits <<= cell & 15;                                        \
    to = (u8)(cell >> 8);                                      \
  } while (0)

#define REFILL(bits, at)                                       \
  do {                                                         \
    u32 gone = (u32)__builtin_ctzll(bits);                     \
    at -= gone >> 3;                                           \
    bits = MARKED(at) << (gone & 7);                           \
  } while (0)

/* The rest of one stream, checked symbol by symbol; true if it ends exactly with the last. */
static bool finish_stream(Stream *stream, const u16 *table, u8 *out, u32 length) {
  for (u32 i = 0; i < length; i++) {
    DECODE(stream->bits, out[i]);
    REFILL(stream->bits, stream->at);
    if (stream->at + 8 < stream->start) return false;
  }
  i32 left = 8 * (i32)(stream->at + 8 - stream->start) - (i32)__builtin_ctzll(stream->bits);
  return left == 0;
}

/* Four streams in step, five symbols of each at a time: 55 bits of the 56 that are always there.
 * Gives how many symbols of each are done. */
static u32 decode_in_step(Stream *streams, const u16 *table, u8 *out, u32 part, u32 last) {
  const u8 *p = streams[0].at, *q = streams[1].at, *r = streams[2].at, *s = streams[3].at;
  u64 a = streams[0].bits, b = streams[1].bits, c = streams[2].bits, d = streams[3].bits;
  /* Nothing before the first stream's start is reached while each stays above its own. */
  const u8 *p0 = streams[0].start + 8, *q0 = streams[1].start + 8;
  const u8 *r0 = streams[2].start + 8, *s0 = streams[3].start + 8;
  u8 *to = out, *to2 = out + 2 * part;
  u32 done = 0;
  for (; done + 5 <= last && p >= p0 && q >= q0 && r >= r0 && s >= s0; done += 5) {
#pragma clang loop unroll(full)
    for (u32 i = 0; i < 5; i++) {
      DECODE(a, to[i]);
      DECODE(b, to[i + part]);
      DECODE(c, to2[i]);
      DECODE(d, to2[i + part]);
    }
    to += 5;
    to2 += 5;
    REFILL(a, p);
    REFILL(b, q);
    REFILL(c, r);
    REFILL(d, s);
  }
  streams[0].at = p, streams[1].at = q, streams[2].at = r, streams[3].at = s;
  streams[0].bits = a, streams[1].bits = b, streams[2].bits = c, streams[3].bits = d;
  return done;
}

/* Literals in four streams, whose first three lengths stand before them. */
static bool decode_four(const u8 *at, const u8 *end, const Tree *tree, u8 *out, u32 length) {
  u32 part = (length + 3) / 4;
  if (end - at < 10 || 3 * part > length) return false;
  const u8 *start = at + 6;
  Stream streams[4];
  for (u32 i = 0; i < 4; i++) {
    const u8 *stop = i == 3 ? end : start + load16(at + 2 * i);
    if (stop > end || !open_stream(&streams[i], start, stop)) return false;
    start = stop;
  }
  u32 last = length - 3 * part;
  u32 done = decode_in_step(streams, tree->cell, out, part, last);
  bool whole = true;
  for (u32 i = 0; i < 4; i++) {
    u32 to_do = (i == 3 ? last : part) - done;
    whole &= finish_stream(&streams[i], tree->cell, out + i * part + done, to_do);
  }
  return whole;
}

/* Literals in one stream. */
static bool decode_one(const u8 *at, const u8 *end, const Tree *tree, u8 *out, u32 length) {
  Stream stream;
  return open_stream(&stream, at, end) && finish_stream(&stream, tree->cell, out, length);
}

#endif
