/* The inverse: every step checks what it reads, because the bytes may be anyone's. */
#ifndef RANS1_DECODE_H
#define RANS1_DECODE_H

#include "header.h"

/* Where the words of low states go: for each set of them, which of the next eight bytes. */
#define TAKEN(bit, from) (bit) ? 2 * (from) : 0xff, (bit) ? 2 * (from) + 1 : 0xff, 0xff, 0xff
#define ONES(a, b, c) ((a) + (b) + (c))
#define SPREAD(a, b, c, d)                                                         \
  {TAKEN(a, 0), TAKEN(b, ONES(a, 0, 0)), TAKEN(c, ONES(a, b, 0)), TAKEN(d, ONES(a, b, c))}

static const Sixteen spread[16] = {
    SPREAD(0, 0, 0, 0), SPREAD(1, 0, 0, 0), SPREAD(0, 1, 0, 0), SPREAD(1, 1, 0, 0),
    SPREAD(0, 0, 1, 0), SPREAD(1, 0, 1, 0), SPREAD(0, 1, 1, 0), SPREAD(1, 1, 1, 0),
    SPREAD(0, 0, 0, 1), SPREAD(1, 0, 0, 1), SPREAD(0, 1, 0, 1), SPREAD(1, 1, 0, 1),
    SPREAD(0, 0, 1, 1), SPREAD(1, 0, 1, 1), SPREAD(0, 1, 1, 1), SPREAD(1, 1, 1, 1),
};

static inline u32 signs(Four truths) {
#ifdef __wasm__
  typedef i32 Signed __attribute__((vector_size(16)));
  return (u32)__builtin_wasm_bitmask_i32x4((Signed)truths);
#else
  return (truths[0] & 1) | (truths[1] & 2) | (truths[2] & 4) | (truths[3] & 8);
#endif
}

/* What all steps of a block have in common. */
typedef struct {
  Four mask, said;             /* that of context 0 is said here */
  u32 scale, steps, lag;
  Levels levels;
} Common;

/* Parts of a vector that was stored, read from memory: a core takes lanes out of vectors in one
 * place only, which so many would wait for. */
INLINE u32 cell_of(const Decoder *decoder, u32 state) {
  u32 said = ((const volatile u32 *)decoder->said)[state];
  u32 slot = ((const volatile u32 *)decoder->slots)[state];
  return *AT(const u32, *AT(const u32, said) + slot);
}

/* Four of the contexts, as the addresses where their classes are said. */
#define SAID(contexts, first)                                                                   \
  (common.said + (__builtin_convertvector(__builtin_shufflevector(contexts, contexts, first,    \
                                                                  first + 1, first + 2,         \
                                                                  first + 3), Four) << 2))

/* The next symbol of four states from one on, in cells, and the states before it was coded. */
INLINE Four step(Decoder *decoder, Four *states, const u8 **at, const Common *common, u32 first) {
  typedef u64 Two __attribute__((vector_size(16)));
  Four x = *states;
  decoder->slots[first / 4] = (x & common->mask) << 2;
  Four cell = {cell_of(decoder, first), cell_of(decoder, first + 1), cell_of(decoder, first + 2),
               cell_of(decoder, first + 3)};
  x = ((cell >> 8 & 0xfff) + 1) * (x >> common->scale) + (cell >> 20);
  Four low = (Four)(x < LOWEST);
  u32 which = signs(low);
  Sixteen words = (Sixteen)(Two){*(const Long *)*at, 0};
  *states = (x & ~low) | (x << 16 & low) | (Four)pick(words, spread[which]);
  *at += 2 * (u32)__builtin_popcount(which);
  return cell;
}

/* The lowest byte of every cell. */
static inline Sixteen tokens_in(Four a, Four b, Four c, Four d) {
  Sixteen ab = __builtin_shufflevector((Sixteen)a, (Sixteen)b, 0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8,
                                       12, 16, 20, 24, 28);
  Sixteen cd = __builtin_shufflevector((Sixteen)c, (Sixteen)d, 0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8,
                                       12, 16, 20, 24, 28);
  return __builtin_shufflevector(ab, cd, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
}

/* What a block has been decoded up to. */
typedef struct {
  u32 i;
  Sixteen contexts;
  Averages averages;
} Place;

/* The tokens of a block, as long as words for a whole step lie before `end`. */
INLINE void decode_steps(Decoder *decoder, Place *place, const u8 *end, const u32 kind,
                         const bool few) {
  const Common common = {
      .said = (Four){} + (u32)(uintptr_t)decoder->class_at,
      .mask = (Four){} + ((1u << decoder->scale) - 1),
      .scale = decoder->scale, .steps = decoder->steps, .lag = decoder->lag,
      .levels = decoder->levels,
  };
  const u8 *at = decoder->at;
  Sixteen *tokens = decoder->by_step;
  Four a = decoder->x[0], b = decoder->x[1], c = decoder->x[2], d = decoder->x[3];
  Sixteen next = place->contexts;
  Averages averages = place->averages;
  u32 i = place->i;
  for (; i < common.steps && at <= end; i++) {
    decoder->said[0] = SAID(next, 0);
    decoder->said[1] = SAID(next, 4);
    decoder->said[2] = SAID(next, 8);
    decoder->said[3] = SAID(next, 12);
    Four in_a = step(decoder, &a, &at, &common, 0);
    Four in_b = step(decoder, &b, &at, &common, 4);
    Four in_c = step(decoder, &c, &at, &common, 8);
    Four in_d = step(decoder, &d, &at, &common, 12);
    tokens[i] = tokens_in(in_a, in_b, in_c, in_d);
    next = contexts_after(tokens, i, kind, common.lag, &common.levels, few, &averages);
  }
  decoder->x[0] = a, decoder->x[1] = b, decoder->x[2] = c, decoder->x[3] = d;
  decoder->at = at;
  *place = (Place){i, next, averages};
}

/* A loop of its own for each kind of contexts. */
static void decode_nothing(Decoder *decoder, Place *place, const u8 *end) {
  decode_steps(decoder, place, end, NOTHING, false);
}

static void decode_before(Decoder *decoder, Place *place, const u8 *end) {
  decode_steps(decoder, place, end, BEFORE, false);
}

static void decode_average(Decoder *decoder, Place *place, const u8 *end) {
  decode_steps(decoder, place, end, AVERAGE, false);
}

static void decode_average_of_few(Decoder *decoder, Place *place, const u8 *end) {
  decode_steps(decoder, place, end, AVERAGE, true);
}

static void decode_back(Decoder *decoder, Place *place, const u8 *end) {
  decode_steps(decoder, place, end, BACK, false);
}

static void decode_kind(Decoder *decoder, Place *place, const u8 *end) {
  switch (decoder->kind) {
    case NOTHING: decode_nothing(decoder, place, end); break;
    case BEFORE: decode_before(decoder, place, end); break;
    case AVERAGE:
      if (decoder->width == 2)
        decode_average_of_few(decoder, place, end);
      else
        decode_average(decoder, place, end);
      break;
    default: decode_back(decoder, place, end);
  }
}

/* The tokens of a block, by steps. The last bytes of the stream are decoded from a copy with zeros
 * behind them; false when some of those were taken. */
static bool decode_tokens(Decoder *decoder) {
  Place place = {0};
  if (decoder->end - decoder->at >= STEP_BYTES)
    decode_kind(decoder, &place, decoder->end - STEP_BYTES);
  if (place.i == decoder->steps) return true;
  u32 left = (u32)(decoder->end - decoder->at);
  for (u32 j = 0; j < sizeof decoder->tail; j++) decoder->tail[j] = j < left ? decoder->at[j] : 0;
  decoder->at = decoder->tail;
  decode_kind(decoder, &place, decoder->tail + left);
  u32 taken = (u32)(decoder->at - decoder->tail);
  decoder->at = decoder->end - left + taken;
  return place.i == decoder->steps && taken <= left;
}

/* Rows and columns of sixteen by sixteen bytes exchanged, in four turns of this: halves of rows
 * eight apart become neighbours, byte by byte. */
static inline void interleave(const Sixteen *rows, Sixteen *mixed) {
#pragma clang loop unroll(full)
  for (u32 i = 0; i < 8; i++) {
    mixed[2 * i] = __builtin_shufflevector(rows[i], rows[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20,
                                           5, 21, 6, 22, 7, 23);
    mixed[2 * i + 1] = __builtin_shufflevector(rows[i], rows[i + 8], 8, 24, 9, 25, 10, 26, 11, 27,
                                               12, 28, 13, 29, 14, 30, 15, 31);
  }
}

/* Tokens by steps become tokens in line. */
static void line_up(const Decoder *decoder, u8 *out) {
  const u32 steps = decoder->steps, span = decoder->span;
  u32 i = 0;
  for (; i + 16 <= steps && (STATES - 1) * steps + i + 16 <= span; i += 16) {
    Sixteen rows[16], mixed[16];
    interleave(decoder->by_step + i, mixed);
    interleave(mixed, rows);
    interleave(rows, mixed);
    interleave(mixed, rows);
#pragma clang loop unroll(full)
    for (u32 j = 0; j < STATES; j++) *(Bytes *)(out + j * steps + i) = rows[j];
  }
  const u8 *tokens = (const u8 *)decoder->by_step;
  for (; i < steps; i++)
    for (u32 j = 0; j < STATES && j * steps + i < span; j++)
      out[j * steps + i] = tokens[i * STATES + j];
}

/* Of every token, how many bits of its lane it does not say, and the others. */
#define FOURS(ENTRY, n) ENTRY(4 * (n)), ENTRY(4 * (n) + 1), ENTRY(4 * (n) + 2), ENTRY(4 * (n) + 3)
#define ALL(ENTRY)                                                                             \
  {SIXTEENS(ENTRY, 0), SIXTEENS(ENTRY, 1), SIXTEENS(ENTRY, 2),  SIXTEENS(ENTRY, 3),            \
   SIXTEENS(ENTRY, 4), SIXTEENS(ENTRY, 5), SIXTEENS(ENTRY, 6),  SIXTEENS(ENTRY, 7),            \
   SIXTEENS(ENTRY, 8), SIXTEENS(ENTRY, 9), SIXTEENS(ENTRY, 10), SIXTEENS(ENTRY, 11),           \
   SIXTEENS(ENTRY, 12), SIXTEENS(ENTRY, 13), SIXTEENS(ENTRY, 14), SIXTEENS(ENTRY, 15)}
#define SIXTEENS(ENTRY, n) \
  FOURS(ENTRY, 4 * (n)), FOURS(ENTRY, 4 * (n) + 1), FOURS(ENTRY, 4 * (n) + 2), \
      FOURS(ENTRY, 4 * (n) + 3)
#define LOW(token) ((token) < 8 ? 0 : (token) / 4 - 1)
#define HIGH(token) ((token) < 4 ? (u64)(token) : (u64)(4 + (token) % 4) << (LOW(token) & 63))

static const u8 low_of[256] = ALL(LOW);
static const u64 high_of[256] = ALL(HIGH);

/* The next bits from one on, 57 at least where sixteen bytes may be read from theirs on. */
static inline u64 bits_at(const u8 *at, u32 bit) {
  return *(const Long *)(at + (bit >> 3)) >> (bit & 7);
}

/* So many of them, where eight bytes may be too few. */
static inline u64 more_bits_at(const u8 *at, u32 bit) {
  return bits_at(at, bit) | (u64)at[(bit >> 3) + 8] << 8 << (55 - (bit & 7)) << 1;
}

/* One lane from its token and its low bits. */
#define JOIN(T)                                                         \
  do {                                                                  \
    u32 token = tokens[i];                                              \
    u64 low = low_of[token];                                            \
    out[i++] = (T)(high_of[token] | (bits & (((u64)1 << low) - 1)));       \
    bits >>= low;                                                       \
    bit += (u32)low;                                                    \
  } while (0)

/* Of two bytes, as many as the bits read at once suffice for. */
static u32 join_u16(const u8 *tokens, const u8 *at, u32 bit, u16 *out, u32 i, u32 to) {
  while (to - i >= 4) {
    u64 bits = bits_at(at, bit);
    JOIN(u16);
    JOIN(u16);
    JOIN(u16);
    JOIN(u16);
  }
  while (i < to) {
    u64 bits = bits_at(at, bit);
    JOIN(u16);
  }
  return bit;
}

#define DEFINE(T, BITS_AT)                                                                       \
  static u32 join_##T(const u8 *tokens, const u8 *at, u32 bit, T *out, u32 i, u32 to) {           \
    while (i < to) {                                                                             \
      u64 bits = BITS_AT(at, bit);                                                               \
      JOIN(T);                                                                                   \
    }                                                                                            \
    return bit;                                                                                  \
  }

DEFINE(u32, bits_at)
DEFINE(u64, more_bits_at)

/* The lanes from one on up to another; gives where the next one's low bits begin. */
static __attribute__((noinline)) u32 join(const Decoder *decoder, const u8 *at, u32 bit, u8 *out,
                                           u32 from, u32 to) {
  switch (decoder->width) {
    case 2: return join_u16(decoder->in_line, at, bit, (u16 *)out, from, to);
    case 4: return join_u32(decoder->in_line, at, bit, (u32 *)out, from, to);
    default: return join_u64(decoder->in_line, at, bit, (u64 *)out, from, to);
  }
}

/* Of all tokens of a block, the bits that they do not say. */
static __attribute__((noinline)) u32 all_low_bits(const u8 *tokens, u32 count) {
  u32 bits = 0;
  for (u32 j = 0; j < count; j++) bits += low_bits(tokens[j]);
  return bits;
}

/* What follows is done once a block. A loop that is drawn into it would become as slow. */
#pragma clang attribute push(__attribute__((minsize)), apply_to = function)

/* The lanes of a block from its tokens and the bits that follow its words. As long as a lane's bits
 * lie well before the end they are read in place, and from a copy of the last bytes then. */
static bool join_block(Decoder *decoder, u8 *out) {
  enum { NEAR = 16 };
  u32 bits = all_low_bits(decoder->in_line, decoder->span), i = 0, bit = 0;
  u32 bytes = (bits + 7) / 8, left = (u32)(decoder->end - decoder->at);
  if (bytes > left) return false;
  for (u32 room; i < decoder->span && (room = left - (bit >> 3)) >= 2 * NEAR;) {
    u32 sure = (room - NEAR) / 8, rest = decoder->span - i;
    u32 to = i + (sure < rest ? sure : rest);
    bit = join(decoder, decoder->at, bit, out, i, to);
    i = to;
  }
  const u8 *at = decoder->at + (bit >> 3);
  for (u32 j = 0; j < sizeof decoder->tail; j++)
    decoder->tail[j] = at + j < decoder->end ? at[j] : 0;
  join(decoder, decoder->tail, bit & 7, out, i, decoder->span);
  if ((bits & 7) != 0 && decoder->at[bytes - 1] >> (bits & 7) != 0) return false;
  decoder->at += bytes;
  return true;
}

static bool decode_coded(Decoder *decoder, u8 *out) {
  u32 *x = (u32 *)decoder->x;
  if (decoder->end - decoder->at < 4 * STATES) return false;
  for (u32 j = 0; j < STATES; j++, decoder->at += 4) {
    x[j] = *(const Stored *)decoder->at;
    if (x[j] < LOWEST) return false;
  }
  const u32 width = decoder->width;
  for (u32 i = 0; i < decoder->length; i += decoder->span) {
    if (!read_header(decoder, decoder->length - i) || !decode_tokens(decoder)) return false;
    line_up(decoder, width == 1 ? out + i : decoder->in_line);
    if (width > 1 && !join_block(decoder, out + i * width)) return false;
  }
  /* The states are back where coding began, and nothing is left over. */
  bool clean = decoder->at == decoder->end;
  for (u32 j = 0; j < STATES; j++) clean &= x[j] == LOWEST;
  return clean;
}

/* The decoder, the cells, the tokens by steps and, of wider lanes, those in line. */
static u32 lay_out(Decoder *decoder, u32 scratch, u32 lanes, u32 width) {
  u32 cells = scratch + (u32)sizeof(Decoder), by_step = cells + 4 * (cells_of(lanes) + 4);
  u32 span = lanes < MAX_SPAN ? lanes : MAX_SPAN, in_line = by_step + STATES * steps_of(span);
  if (decoder != 0) {
    decoder->cells = AT(u32, cells);
    decoder->by_step = AT(Sixteen, by_step);
    decoder->in_line = AT(u8, in_line);
  }
  return in_line + (width == 1 ? 0 : span) - scratch;
}

static u32 decode(Call *call, u32 width, u32 lag) {
  const u8 *at = in_at(call, 0), *end = at + call->in[0].len;
  u32 length = 0, mode = STORED;
  if (at != end) {
    mode = *at++;
    length = (u32)(end - at);
    if (mode == CODED) {
      at = read_length(at, end, MAX_BYTES / width, &length);
      if (at == 0) return MALFORMED;
      length *= width;
    }
    if (mode > CODED || length == 0 || length % width != 0 || length > MAX_BYTES) return MALFORMED;
  }
  u32 lanes = length / width;
  u32 scratch = mode == STORED ? 0 : lay_out(0, 0, lanes, width);
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
  Decoder *decoder = AT(Decoder, call->scratch->ptr);
  decoder->width = width, decoder->lag = lag, decoder->length = lanes;
  decoder->at = at, decoder->end = end;
  lay_out(decoder, call->scratch->ptr, lanes, width);
  return decode_coded(decoder, out) ? DONE : MALFORMED;
}

#pragma clang attribute pop

#endif
