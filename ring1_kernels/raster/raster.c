/* raster: images and grids, with several predictors and mixed models. See spec.md. */
#include "../abi.h"
#include "guess.h"

enum {
  STORED = 0,
  CODED = 1,
  MAX_LENGTH = 1 << 30,
  FEWEST_SETS = 16,
  STEPS = 16,              /* tokens up to here are counted up to */
  BEYOND = 18,             /* the nodes of four bits that say how far a token lies beyond */
  BITS = 22,               /* where the nodes of the bits below a token begin */
  BIT_CLASSES = 5,
  LOUDEST = 6,             /* activities of six half octaves are one class here */
};

/* How many sets of slots each context has where there are lanes enough. */
static const u16 SETS[CONTEXTS] = {2048, 4096, 8192, 2048, 4096, 4096, 4096, 8192};

/* Classes of a difference and its sign, 2 limit + 1 of them. */
INLINE u32 signed_class(i32 value, u32 limit) {
  u32 length = at_most(length_of(size_of(value)), limit);
  return value < 0 ? limit - length : limit + length;
}

typedef struct {
  Mixing *mixing;
  Slot *sets[CONTEXTS];
  u32 mask[CONTEXTS];
} Models;

/* The slots and mixers of a lane. */
INLINE Place place_of(const Models *models, const Field *field, const Guess *guess, u32 kind,
                      u32 width) {
  const i16 *missed = field->missed + field->at;
  i32 west = missed[-(i32)field->channels], north = missed[-(i32)field->row];
  i32 one = field->channel > 0 ? missed[-1] : 0, two = field->channel > 1 ? missed[-2] : 0;
  i32 corner = missed[(i32)field->channels - (i32)field->row];
  i32 p = guess->blend, whole = guess->nearest, above = guess->north - whole;
  u32 activity = at_most(half_octave(guess->activity), BY_ACTIVITY - 1);
  u32 loud = at_most(activity / LOUDEST, 3), part = (u32)(p + PART / 2) % PART;
  u32 value = (guess->west + (u32)whole) & (width == 1 ? 0xff : 0xffff);
  u32 error = width == 1 ? guess->error : guess->error << 2;
  u32 near = at_most(length_of(size_of(field->channel > 0 ? one : corner)), 3);
  u32 context[CONTEXTS] = {
      (signed_class(above, 8) * 17 + signed_class(-whole, 8)) * 4 + kind,
      ((signed_class(one, 7) * 15 + signed_class(two, 7)) * 4 + kind) * 4 + loud,
      ((signed_class(guess->filtered[0] - p, 9) * 19 + signed_class(guess->filtered[1] - p, 9)) * 4 +
       kind) * 4 + loud,
      (signed_class(above - guess->north_west, 8) * 17 +
       signed_class(guess->north_east - whole, 8)) * 4 + kind,
      (width == 1 ? value : value >> 6) * 4 + kind,
      ((signed_class(west, 7) * 15 + signed_class(north, 7)) * 4 + kind) * 4 + near,
      (at_most(half_octave(error >> 3), 39) * 4 + kind) * 16 + part,
      field->channel > 0
          ? ((signed_class(PART * (guess->turn + guess->north) - p, 9) * 19 +
              signed_class(PART * guess->rise - p, 9)) * 4 + kind) * 4 + loud
          : (signed_class(guess->far_north - whole, 8) * 17 +
             signed_class(guess->far_west - whole, 8)) * 16,
  };
  u32 by_error = at_most(half_octave(error >> 4), BY_ERROR / 2 - 1) * 2 + (field->channel > 0);
  Place place = {
      .by_activity = models->mixing->by_activity + activity * NODES,
      .by_error = models->mixing->by_error + by_error * NODES,
  };
  for (u32 k = 0; k < CONTEXTS; k++)
    place.slot[k] = models->sets[k] + (context[k] & models->mask[k]) * NODES;
  return place;
}

/* Step by step up to STEPS, and from there in four bits. */
INLINE u32 code_token(Mixing *mixing, Coder *coder, const Place *place, u32 token, u32 width) {
  u32 last = width == 1 ? 13 : STEPS, t = 0;
  while (t < last && model_bit(mixing, coder, place, 2 + t, t < token)) t++;
  if (t < STEPS) return t;
  u32 more = token - STEPS, high = model_bit(mixing, coder, place, BEYOND, more >> 3 & 1);
  u32 next = model_bit(mixing, coder, place, BEYOND + 1 + high, more >> 2 & 1);
  u32 low = model_bit(mixing, coder, place, BEYOND + 3, more >> 1 & 1);
  return STEPS + 8 * high + 4 * next + 2 * low + model_bit(mixing, coder, place, BEYOND + 3, more & 1);
}

/* Whether it is 0, its sign, the token of its size less one, and the bits below that. */
INLINE i32 code_residual(Mixing *mixing, Coder *coder, const Place *place, i32 residual, u32 width) {
  if (!model_bit(mixing, coder, place, 0, residual != 0)) return 0;
  u32 negative = model_bit(mixing, coder, place, 1, residual < 0);
  u32 size = size_of(residual) - 1;
  u32 t = code_token(mixing, coder, place, half_octave(size), width);
  u32 count = t < 4 ? 0 : t / 2 - 1, kind = BITS + 2 * (at_most(t / 2, BIT_CLASSES + 1) - 2);
  u32 value = t < 4 ? t : 2 | (t & 1);
  for (u32 k = count; k-- > 0;) {
    u32 bit = size >> k & 1, below = count - 1 - k;
    bit = below < 2 ? model_bit(mixing, coder, place, kind + below, bit)
                    : code_bit(coder, ONE / 2, bit);
    value = value << 1 | bit;
  }
  return negative ? -(i32)(value + 1) : (i32)(value + 1);
}

static void code_lanes(const Models *models, Field *field, Coder *coder, const void *in, void *out,
                       u32 n, u32 width) {
  bool decode = coder->decode;
  for (u32 i = 0; i < n; i++) {
    u32 kind = at_most(field->channel, KINDS - 1), value = 0;
    Guess guess;
    make_guess(field, &guess, kind, width);
    Place place = place_of(models, field, &guess, kind, width);
    u32 guessed = guess.west + (u32)guess.nearest;
    i32 residual = 0;
    if (!decode) {
      value = width == 1 ? ((const u8 *)in)[i] : ((const u16 *)in)[i];
      residual = with_sign(value - guessed, width);
    }
    residual = code_residual(models->mixing, coder, &place, residual, width);
    value = (guessed + (u32)residual) & (width == 1 ? 0xff : 0xffff);
    if (decode && width == 1) ((u8 *)out)[i] = (u8)value;
    if (decode && width == 2) ((u16 *)out)[i] = (u16)value;
    learn_lane(field, &guess, kind, value, width);
    field->value[field->at] = (u16)value;
    field->missed[field->at] = (i16)with_sign((u32)residual, width);
    field->at++;
    field->channel = field->channel + 1 == field->channels ? 0 : field->channel + 1;
    if (coder->over) return;
  }
}

/* A row that leaves nothing to the right above, or too few rows, is none: then one lane more than two
 * pixels stands for it. */
static u32 usable_row(u32 row, u32 channels, u32 n) {
  return row > 2 * channels && row <= n / 4 ? row : 2 * channels + 1;
}

static u32 lanes_before(u32 row, u32 channels) { return 2 * row + 4 * channels; }
static u32 ring_mask(u32 row, u32 channels) {
  return 0xffffffffu >> __builtin_clz(row + 2 * channels);
}

static u32 sets_of(u32 context, u32 n) {
  u32 sets = FEWEST_SETS;
  while (sets < n && sets < SETS[context]) sets *= 2;
  return sets;
}

/* The places in the scratch, in the order of their alignment. */
typedef struct {
  u32 mixing, learned, errors, sets[CONTEXTS], value, missed, end;
} Layout;

static Layout layout_of(u32 n, u32 row, u32 channels) {
  Layout layout = {.mixing = 0};
  u32 at = sizeof(Mixing) + 15 & ~15u;
  layout.errors = at;
  at += (ring_mask(row, channels) + 1) * (u32)sizeof(Errors);
  for (u32 k = 0; k < CONTEXTS; k++) {
    layout.sets[k] = at;
    at += sets_of(k, n) * NODES * (u32)sizeof(Slot);
  }
  layout.learned = at;
  at += sizeof(Learned);
  layout.value = at;
  at += 2 * (n + lanes_before(row, channels));
  layout.missed = at;
  layout.end = at + 2 * (n + lanes_before(row, channels));
  return layout;
}

static void set_up(u8 *scratch, u32 n, u32 row, u32 channels, Models *models, Field *field) {
  Layout layout = layout_of(n, row, channels);
  models->mixing = (Mixing *)(scratch + layout.mixing);
  begin_mixing(models->mixing);
  for (u32 k = 0; k < CONTEXTS; k++) {
    models->sets[k] = (Slot *)(scratch + layout.sets[k]);
    models->mask[k] = sets_of(k, n) - 1;
  }
  *field = (Field){
      .row = row,
      .channels = channels,
      .at = lanes_before(row, channels),
      .mask = ring_mask(row, channels),
      .value = (u16 *)(scratch + layout.value),
      .missed = (i16 *)(scratch + layout.missed),
      .errors = (Errors *)(scratch + layout.errors),
      .learned = (Learned *)(scratch + layout.learned),
  };
  for (u32 kind = 0; kind < KINDS; kind++)
    for (u32 k = 0; k < 2; k++) {
      i32 *tap = field->learned->tap[k][kind];
      tap[1] = 49152;
      tap[2] = -32768;
      tap[3] = 16384;
    }
}

/* The mode and the number of lanes, in its shortest form; gives what follows, or 0. */
static const u8 *read_head(const u8 *at, const u8 *end, u32 width, u32 *mode, u32 *n) {
  *mode = *at++;
  if (*mode == STORED) {
    *n = (u32)(end - at) / width;
    return *n != 0 && *n * width == (u32)(end - at) && *n * width <= MAX_LENGTH ? at : 0;
  }
  u64 sum = 0;
  for (u32 shift = 0; shift < 35 && at != end; shift += 7) {
    u8 byte = *at++;
    sum |= (u64)(byte & 0x7f) << shift;
    if (byte & 0x80) continue;
    *n = (u32)sum;
    return byte == 0 || sum > MAX_LENGTH / width || *mode != CODED ? 0 : at;
  }
  return 0;
}

static u32 decode(Call *call, u32 width, u32 row, u32 channels) {
  const u8 *at = in_at(call, 0), *end = at + call->in[0].len;
  u32 mode = STORED, n = 0;
  if (at != end && (at = read_head(at, end, width, &mode, &n)) == 0) return MALFORMED;
  row = usable_row(row, channels, n);
  u32 scratch = mode == STORED ? 0 : layout_of(n, row, channels).end;
  if (call->bound) {
    call->out[0].cap = n * width;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < n * width) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = n * width;
  u8 *out = out_at(call, 0);
  if (mode == STORED) {
    copy_bytes(out, at, n * width);
    return DONE;
  }
  Models models;
  Field field;
  set_up(AT(u8, call->scratch->ptr), n, row, channels, &models, &field);
  Coder coder = {.decode = true, .high = 0xffffffff, .in = at, .in_end = end};
  for (u32 k = 0; k < 4; k++) coder.value = coder.value << 8 | next_byte(&coder);
  code_lanes(&models, &field, &coder, 0, out, n, width);
  return coder.over || coder.in != coder.in_end ? MALFORMED : DONE;
}

/* The length of what was coded, or 0 when that is no shorter than the lanes. */
static u32 encode_coded(Call *call, u32 width, u32 row, u32 channels) {
  u32 length = call->in[0].len, n = length / width;
  u8 *out = out_at(call, 0), *to = out;
  if (length < 12) return 0;
  *to++ = CODED;
  u32 left = n;
  for (; left >= 0x80; left >>= 7) *to++ = (u8)(left | 0x80);
  *to++ = (u8)left;
  Models models;
  Field field;
  set_up(AT(u8, call->scratch->ptr), n, row, channels, &models, &field);
  Coder coder = {.high = 0xffffffff, .out = to, .out_end = out + length - 4};
  code_lanes(&models, &field, &coder, in_at(call, 0), 0, n, width);
  if (coder.over) return 0;
  for (u32 k = 0; k < 4; k++) *coder.out++ = (u8)(coder.low >> (24 - 8 * k));
  return (u32)(coder.out - out);
}

static u32 encode(Call *call, u32 width, u32 row, u32 channels) {
  u32 length = call->in[0].len, n = length / width, cap = length == 0 ? 0 : length + 1;
  if (length % width != 0 || length > MAX_LENGTH) return OUTSIDE_DOMAIN;
  row = usable_row(row, channels, n);
  u32 scratch = n == 0 ? 0 : layout_of(n, row, channels).end;
  if (call->bound) {
    call->out[0].cap = cap;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < cap) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = n == 0 ? 0 : encode_coded(call, width, row, channels);
  if (n == 0 || call->out[0].len != 0) return DONE;
  u8 *out = out_at(call, 0);
  *out = STORED;
  copy_bytes(out + 1, in_at(call, 0), length);
  call->out[0].len = cap;
  return DONE;
}

static u32 work(Call *call) {
  u32 width, row, channels;
  if (!take_width(call, 1 | 2, &width) || !take_uint(call, 0, 1 << 24, &row) ||
      !take_uint(call, 1, 64, &channels) || !no_more_parameters(call))
    return BAD_PARAMETER;
  if (call->n_in != 1 || call->n_out != 1) return CALL_SHAPE;
  return call->inverse ? decode(call, width, row, channels) : encode(call, width, row, channels);
}
