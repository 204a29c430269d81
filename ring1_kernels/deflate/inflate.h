/* A deflate stream read: how long it is, what it makes, and what its first block tells of its maker. */
#ifndef DEFLATE_INFLATE_H
#define DEFLATE_INFLATE_H

#include "format.h"

enum { QUICK = 9, LONGEST_PLAIN = 1 << 30, FAILED = 0xffffffff };

typedef struct {
  const u8 *at, *end;
  u64 bits;
  u32 count;
} Bits;

typedef struct {
  u16 quick[1 << QUICK];   /* symbol and length of every code that begins so, or 0 */
  u16 count[LONGEST_CODE + 1];
  u16 symbols[288];
} Code;

typedef struct {
  u32 used, length;        /* bytes of the stream, and of what it makes */
  u32 symbols;             /* in the first block, where it is neither the last one nor stored */
} Stream;

static inline void refill(Bits *from) {
  for (; from->count <= 56 && from->at != from->end; from->count += 8)
    from->bits |= (u64)*from->at++ << from->count;
}

/* The next so many bits, at most 16; FAILED where the input ends before. */
static inline u32 take(Bits *from, u32 bits) {
  refill(from);
  if (from->count < bits) return FAILED;
  u32 value = (u32)(from->bits & ((1u << bits) - 1));
  from->bits >>= bits;
  from->count -= bits;
  return value;
}

/* Only complete codes: zlib makes no others. */
static bool make_code(Code *code, const u8 *lengths, u32 symbols) {
  for (u32 bits = 0; bits <= LONGEST_CODE; bits++) code->count[bits] = 0;
  for (u32 i = 0; i < symbols; i++) code->count[lengths[i]]++;
  code->count[0] = 0;
  u32 room = 1, begin[LONGEST_CODE + 2], next[LONGEST_CODE + 2];
  begin[1] = next[1] = 0;
  for (u32 bits = 1; bits <= LONGEST_CODE; bits++) {
    room = 2 * room;
    if (code->count[bits] > room) return false;
    room -= code->count[bits];
    begin[bits + 1] = begin[bits] + code->count[bits];
    next[bits + 1] = (next[bits] + code->count[bits]) << 1;
  }
  if (room) return false;
  for (u32 i = 0; i < 1 << QUICK; i++) code->quick[i] = 0;
  for (u32 i = 0; i < symbols; i++) {
    u32 bits = lengths[i];
    if (bits == 0) continue;
    code->symbols[begin[bits]++] = (u16)i;
    u32 turned = reversed(next[bits]++, bits);
    for (; bits <= QUICK && turned < 1 << QUICK; turned += 1u << bits)
      code->quick[turned] = (u16)(i << 4 | bits);
  }
  return true;
}

/* The next symbol, or FAILED. */
static inline u32 take_symbol(Bits *from, const Code *code) {
  refill(from);
  u32 entry = code->quick[from->bits & ((1 << QUICK) - 1)], bits = entry & 15, symbol = entry >> 4;
  if (entry == 0) {
    u32 value = 0, first = 0, place = 0;
    for (bits = 1; bits <= LONGEST_CODE; bits++) {
      value |= (u32)(from->bits >> (bits - 1)) & 1;
      u32 count = code->count[bits];
      if (value < first + count) break;
      place += count;
      first = (first + count) << 1;
      value <<= 1;
    }
    if (bits > LONGEST_CODE) return FAILED;
    symbol = code->symbols[place + value - first];
  }
  if (bits > from->count) return FAILED;
  from->bits >>= bits;
  from->count -= bits;
  return symbol;
}

static void fixed_codes(Code *literals, Code *distances) {
  u8 lengths[288];
  for (u32 i = 0; i < 288; i++) lengths[i] = (u8)fixed_length(i);
  make_code(literals, lengths, 288);
  for (u32 i = 0; i < 32; i++) lengths[i] = 5;
  make_code(distances, lengths, 32);
}

static bool own_codes(Bits *from, Code *literals, Code *distances) {
  u32 n_literals = take(from, 5), n_distances = take(from, 5), n_lengths = take(from, 4);
  if (n_literals == FAILED || n_distances == FAILED || n_lengths == FAILED) return false;
  n_literals += 257;
  n_distances += 1;
  u8 lengths[LITERALS + DISTANCES] = {};
  if (n_literals > LITERALS || n_distances > DISTANCES) return false;
  for (u32 i = 0; i < n_lengths + 4; i++) {
    u32 length = take(from, 3);
    if (length == FAILED) return false;
    lengths[LENGTH_ORDER[i]] = (u8)length;
  }
  if (!make_code(literals, lengths, CODE_LENGTHS)) return false;
  for (u32 i = 0; i < n_literals + n_distances;) {
    u32 symbol = take_symbol(from, literals), value = symbol, times = 1;
    if (symbol == FAILED) return false;
    if (symbol >= 16) {
      if (symbol == 16 && i == 0) return false;
      value = symbol == 16 ? lengths[i - 1] : 0;
      u32 more = take(from, symbol == 16 ? 2 : symbol == 17 ? 3 : 7);
      if (more == FAILED) return false;
      times = more + (symbol == 18 ? 11 : 3);
    }
    if (times > n_literals + n_distances - i) return false;
    for (; times; times--) lengths[i++] = (u8)value;
  }
  return make_code(literals, lengths, n_literals) &&
         make_code(distances, lengths + n_literals, n_distances);
}

/* The symbols of one block. Without `out` what it makes is only counted. */
static bool read_symbols(Bits *from, const Code *literals, const Code *distances, u8 *out,
                         Stream *stream, u32 *symbols) {
  u32 made = stream->length, read = 0;
  for (;; read++) {
    u32 symbol = take_symbol(from, literals);
    if (symbol == END_OF_BLOCK) break;
    if (symbol >= LITERALS || made >= LONGEST_PLAIN) return false;
    if (symbol < END_OF_BLOCK) {
      if (out) out[made] = (u8)symbol;
      made++;
      continue;
    }
    u32 code = symbol - END_OF_BLOCK - 1, more = take(from, length_extra(code));
    if (more == FAILED) return false;
    u32 length = length_base(code) + more + LEAST_MATCH;
    code = take_symbol(from, distances);
    if (code >= DISTANCES || (more = take(from, distance_extra(code))) == FAILED) return false;
    u32 distance = distance_base(code) + more + 1;
    if (distance > made) return false;
    if (out)
      for (u32 i = made; i < made + length; i++) out[i] = out[i - distance];
    made += length;
  }
  stream->length = made;
  *symbols = read;
  return true;
}

static bool read_stored(Bits *from, u8 *out, Stream *stream) {
  take(from, from->count % 8);
  u32 length = take(from, 16), turned = take(from, 16);
  if (turned == FAILED || length + turned != 0xffff || stream->length >= LONGEST_PLAIN)
    return false;
  from->at -= from->count / 8;
  from->bits = from->count = 0;
  if (length > (u32)(from->end - from->at)) return false;
  if (out) copy_bytes(out + stream->length, from->at, length);
  from->at += length;
  stream->length += length;
  return true;
}

/* The stream at the front of some bytes. False where there is none. */
static bool inflate(const u8 *in, u32 length, u8 *out, Stream *stream) {
  Bits from = {in, in + length, 0, 0};
  Code literals, distances;
  *stream = (Stream){};
  for (bool first = true, last = false; !last; first = false) {
    u32 head = take(&from, 3), symbols = 0;
    if (head == FAILED) return false;
    last = head & 1;
    if (head >> 1 == STORED) {
      if (!read_stored(&from, out, stream)) return false;
      continue;
    }
    if (head >> 1 == FIXED_CODES) fixed_codes(&literals, &distances);
    else if (head >> 1 != OWN_CODES || !own_codes(&from, &literals, &distances)) return false;
    if (!read_symbols(&from, &literals, &distances, out, stream, &symbols)) return false;
    if (first && !last) stream->symbols = symbols;
  }
  stream->used = (u32)(from.at - in) - from.count / 8;
  return true;
}

#endif
