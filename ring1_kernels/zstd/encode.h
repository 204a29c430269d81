/* The forward operation: one frame, every block in the shortest of its forms. */
#ifndef ZSTD_ENCODE_H
#define ZSTD_ENCODE_H

#include "huffman_write.h"
#include "match.h"

/* What the encoder of one call needs, besides its chains. */
typedef struct {
  Finder finder;
  Codes codes;
  Coder coders[3];
  u8 *literals;            /* of one block */
  u8 *body;                /* room for one block, twice as long as any that is kept */
  Sequence *sequences;
} Encoder;

static u32 code_of(u32 kind, u32 value) {
  if (kind == OFFSETS) return highest_bit(value);
  u32 code = ALPHABET[kind].symbols - 1u;
  const u32 *base = kind == MATCH_LENGTHS ? MATCH_LENGTH_BASE : LITERAL_LENGTH_BASE;
  while (base[code] > value) code--;
  return code;
}

static u32 value_in(const Sequence *sequence, u32 kind) {
  if (kind == OFFSETS) return sequence->value;
  return kind == MATCH_LENGTHS ? sequence->match : sequence->literals;
}

/* What coding the counted symbols with a table takes, in bits. */
static u32 price(const u32 *count, const Counts *counts) {
  u64 sum = 0;
  for (u32 s = 0; s < counts->symbols; s++) {
    if (count[s] == 0) continue;
    u32 slots = counts->count[s] < 0 ? 1 : (u32)counts->count[s];
    sum += (u64)count[s] * (256 * counts->log - log_256(slots));
  }
  return (u32)(sum >> 8);
}

static void default_counts(u32 kind, Counts *counts) {
  counts->log = ALPHABET[kind].default_log;
  counts->symbols = ALPHABET[kind].default_symbols;
  for (u32 s = 0; s < counts->symbols; s++) counts->count[s] = DEFAULT_COUNTS[kind][s];
}

/* The cheapest table for one alphabet; its mode, and `*at` moved behind its description. */
static u32 choose_table(u8 **at, const Sequence *sequences, u32 n, u32 kind, Coder *coder) {
  u32 count[64] = {0}, kinds = 0, symbols = 0;
  for (u32 i = 0; i < n; i++) {
    u32 code = code_of(kind, value_in(&sequences[i], kind));
    kinds += count[code]++ == 0;
    if (code >= symbols) symbols = code + 1;
  }
  Counts own, usual;
  default_counts(kind, &usual);
  u32 usual_price = symbols > usual.symbols ? 1u << 31 : price(count, &usual);
  if (kinds == 1 && usual_price > 8) {
    own = (Counts){.log = 0, .symbols = symbols};
    own.count[symbols - 1] = 1;
    make_coder(&own, coder);
    *(*at)++ = (u8)(symbols - 1);
    return ONE_SYMBOL;
  }
  fit(count, symbols, n, log_for(n, symbols, ALPHABET[kind].max_log), &own);
  if (kinds > 1) {
    u8 *end = write_counts(*at, &own);
    if (price(count, &own) + 8 * (u32)(end - *at) < usual_price) {
      make_coder(&own, coder);
      *at = end;
      return OWN_TABLE;
    }
  }
  make_coder(&usual, coder);
  return PREDEFINED;
}

static void put_extra(Writer *writer, const Sequence *sequence, u32 kind, u32 code) {
  if (kind == OFFSETS)
    put(writer, sequence->value - (1u << code), code);
  else if (kind == MATCH_LENGTHS)
    put(writer, sequence->match - MATCH_LENGTH_BASE[code], MATCH_LENGTH_EXTRA[code]);
  else
    put(writer, sequence->literals - LITERAL_LENGTH_BASE[code], LITERAL_LENGTH_EXTRA[code]);
}

/* From the last sequence to the first, because the reader begins at the back. */
static u8 *write_bits(u8 *at, const Sequence *sequences, u32 n, const Coder *coders) {
  static const u8 STATES[3] = {OFFSETS, MATCH_LENGTHS, LITERAL_LENGTHS};
  static const u8 EXTRAS[3] = {LITERAL_LENGTHS, MATCH_LENGTHS, OFFSETS};
  static const u8 FIRSTS[3] = {MATCH_LENGTHS, OFFSETS, LITERAL_LENGTHS};
  Writer writer = {.at = at};
  u32 state[3] = {0};
  for (u32 i = n; i-- > 0;) {
    u32 code[3];
    for (u32 kind = 0; kind < 3; kind++) code[kind] = code_of(kind, value_in(&sequences[i], kind));
    for (u32 j = 0; j < 3; j++) {
      u32 kind = STATES[j];
      state[kind] = i == n - 1 ? begin_with(&coders[kind], code[kind])
                               : go_to(&coders[kind], &writer, state[kind], code[kind]);
    }
    for (u32 j = 0; j < 3; j++) put_extra(&writer, &sequences[i], EXTRAS[j], code[EXTRAS[j]]);
  }
  for (u32 j = 0; j < 3; j++) put(&writer, state[FIRSTS[j]], coders[FIRSTS[j]].log);
  return close_marked(&writer);
}

static u8 *write_sequences(u8 *at, const Sequence *sequences, u32 n, Coder *coders) {
  if (n < 128)
    *at++ = (u8)n;
  else if (n < 0x7f00)
    *at++ = (u8)(128 + (n >> 8)), *at++ = (u8)n;
  else
    *at++ = 255, at = write_number(at, n - 0x7f00, 2);
  if (n == 0) return at;
  u8 *modes = at++;
  *modes = 0;
  for (u32 kind = 0; kind < 3; kind++)
    *modes |= (u8)(choose_table(&at, sequences, n, kind, &coders[kind]) << (6 - 2 * kind));
  return write_bits(at, sequences, n, coders);
}

static u8 *block_header(u8 *at, u32 kind, u32 length, bool last) {
  return write_number(at, (u32)last | kind << 1 | length << 3, 3);
}

/* One block's bytes of the data to `at`; gives where it ends. */
static u8 *write_block(u8 *at, Encoder *encoder, u32 start, u32 end, u32 *recent) {
  const u8 *data = encoder->finder.data;
  u32 length = end - start, literals = 0, from = start, after[3] = {recent[0], recent[1], recent[2]};
  bool last = end == encoder->finder.length;
  u32 n = find_sequences(&encoder->finder, start, end, after, encoder->sequences);
  for (u32 i = 0; i <= n; i++) {
    u32 run = i < n ? encoder->sequences[i].literals : end - from;
    copy_bytes(encoder->literals + literals, data + from, run);
    literals += run;
    if (i < n) from += run + encoder->sequences[i].match;
  }
  u8 *body = write_literals(encoder->body, encoder->literals, literals, &encoder->codes);
  u32 coded = (u32)(write_sequences(body, encoder->sequences, n, encoder->coders) - encoder->body);
  u32 same = 1;
  while (same < length && data[start + same] == data[start]) same++;
  if (same == length && length > 1) {
    at = block_header(at, RLE_BLOCK, length, last);
    *at++ = data[start];
  } else if (coded >= length) {
    at = block_header(at, RAW_BLOCK, length, last);
    copy_bytes(at, data + start, length);
    at += length;
  } else {
    at = block_header(at, COMPRESSED_BLOCK, coded, last);
    copy_bytes(at, encoder->body, coded);
    at += coded;
    for (u32 i = 0; i < 3; i++) recent[i] = after[i];
  }
  return at;
}

/* A frame of one segment, which says its content's length. */
static u8 *frame_header(u8 *at, u32 length) {
  at = write_number(at, MAGIC, 4);
  u32 format = length < 256 ? 0 : length < 65536 + 256 ? 1 : 2;
  *at++ = (u8)(format << 6 | 1 << 5);
  return write_number(at, format == 1 ? length - 256 : length, 1u << format);
}

/* The parts of the scratch for that many bytes; gives its length. */
static u32 lay_out(u32 address, u32 length, Encoder *encoder) {
  u32 block = length < MAX_BLOCK ? length : MAX_BLOCK, at = address + (u32)sizeof(Encoder);
  u32 hash_bits = 8;
  while (hash_bits < MAX_HASH_BITS && 1u << hash_bits < length) hash_bits++;
  if (encoder != 0) {
    encoder->finder.hash_bits = hash_bits;
    encoder->finder.newest = AT(u32, at);
    encoder->finder.before = AT(u32, at + (4u << hash_bits));
  }
  at += (4u << hash_bits) + 4 * length;
  if (encoder != 0) encoder->sequences = AT(Sequence, at);
  at += (block / MIN_MATCH + 1) * (u32)sizeof(Sequence);
  if (encoder != 0) encoder->literals = AT(u8, at);
  at += block + SLACK;
  if (encoder != 0) encoder->body = AT(u8, at);
  return at + 4 * block + 1024 - address;
}

static u32 encode(Call *call) {
  u32 length = call->in[0].len;
  if (length > MAX_LENGTH) return OUTSIDE_DOMAIN;
  u32 room = length == 0 ? 0 : 9 + length + 3 * ((length - 1) / MAX_BLOCK + 1) + SLACK;
  u32 scratch = length == 0 ? 0 : lay_out(0, length, 0);
  if (call->bound) {
    call->out[0].cap = room;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < room) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = 0;
  if (length == 0) return DONE;
  Encoder *encoder = AT(Encoder, call->scratch->ptr);
  lay_out(call->scratch->ptr, length, encoder);
  encoder->finder.data = in_at(call, 0);
  encoder->finder.length = length;
  u32 recent[3] = FIRST_RECENT;
  u8 *start = out_at(call, 0), *at = frame_header(start, length);
  for (u32 from = 0; from < length; from += MAX_BLOCK) {
    u32 end = length - from < MAX_BLOCK ? length : from + MAX_BLOCK;
    at = write_block(at, encoder, from, end, recent);
  }
  call->out[0].len = (u32)(at - start);
  return DONE;
}

#endif
