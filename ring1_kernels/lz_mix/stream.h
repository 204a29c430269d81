/* The stream around the coded bits: how it begins, how it ends, and what it may claim. */
#ifndef LZ_MIX_STREAM_H
#define LZ_MIX_STREAM_H

#include "model.h"

enum { CODED = 1, MAX_LENGTH = 1 << 30 };

/* No leap costs less than 1 / 2840 of a bit, so a coded byte never stands for as many as this. */
enum { MOST_PER_BYTE = 1 << 19, HEAD = 6 };

static u32 bits_for(u32 length, u32 most) {
  u32 bits = MIN_BITS;
  while (bits < most && 1u << bits < length) bits++;
  return bits;
}

/* The parts of the scratch for that many bytes; gives its length. */
static u32 lay_out(Model *model, u32 address, u32 length) {
  u32 hash_bits = bits_for(length, 18), literal_bits = bits_for(length, 17);
  u32 repeat_bits = bits_for(length / 4, 16), follow_bits = bits_for(length / 16, 14);
  u32 at = address + (u32)sizeof(Model);
  u32 sizes[5] = {1u << hash_bits, 1u << hash_bits, INPUTS << literal_bits, INPUTS << repeat_bits,
                  2 * FOLLOW_SIZES << follow_bits};
  u32 place[5];
  for (u32 i = 0; i < 5; i++) {
    place[i] = at;
    at += 4 * sizes[i];
  }
  if (model == 0) return at - address;
  model->hash_bits = hash_bits;
  model->literal_bits = literal_bits;
  model->repeat_bits = repeat_bits;
  model->follow_bits = follow_bits;
  model->by_long = AT(u32, place[0]);
  model->by_short = AT(u32, place[1]);
  model->literal_slots = AT(Slot, place[2]);
  model->repeat_slots = AT(Slot, place[3]);
  model->follow_slots = AT(Fine, place[4]);
  draw_curves(&model->curves);
  Four first = (Four){} + FIRST_WEIGHT;
  for (u32 i = 0; i < 256 * 3; i++) model->literal_mixers[i] = (Mixer){{first, first}};
  for (u32 i = 0; i < LENGTH_SIZES * 4; i++) model->repeat_mixers[i] = (Mixer){{first, first}};
  return at - address;
}

/* Both keep the range and the past to themselves, where the compiler holds them in locals. */
static Range write_all(Model *model, Range range, u8 *data, u32 length) {
  Past past = {0};
  while (past.at < length && range.past == 0) {
    if (leap(model, &range, false, &past, data, length)) continue;
    u32 byte = data[past.at];
    code_next(model, &range, false, &past, data, byte);
    pass(&past, byte);
  }
  return range;
}

static Range read_all(Model *model, Range range, u8 *data, u32 length) {
  Past past = {0};
  /* A stream that ended is not decoded on: at most four bytes behind it are needed. */
  while (past.at < length && range.past <= 4) {
    if (leap(model, &range, true, &past, data, length)) continue;
    u32 byte = code_next(model, &range, true, &past, data, 0);
    data[past.at] = (u8)byte;
    pass(&past, byte);
  }
  return range;
}

static u32 encode(Call *call) {
  u32 length = call->in[0].len;
  if (length > MAX_LENGTH) return OUTSIDE_DOMAIN;
  u32 scratch = length == 0 ? 0 : lay_out(0, 0, length), room = length == 0 ? 0 : length + 1;
  if (call->bound) {
    call->out[0].cap = room;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < room) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = room;
  if (length == 0) return DONE;
  u8 *data = AT(u8, call->in[0].ptr);
  u8 *start = out_at(call, 0), *at = start;
  Range range = {.high = ~0u, .end = start + room - 1};
  if (length > HEAD) {
    Model *model = AT(Model, call->scratch->ptr);
    lay_out(model, call->scratch->ptr, length);
    *at++ = CODED;
    for (u32 left = length; left != 0; left >>= 7) *at++ = (u8)((left & 127) | (left > 127 ? 128 : 0));
    range.at = at;
    range = write_all(model, range, data, length);
    end_writing(&range);
  }
  u32 bytes = (u32)(range.at - at);
  if (length <= HEAD || range.past != 0 || length / MOST_PER_BYTE > bytes + 4) {
    *start = STORED;
    copy_bytes(start + 1, data, length);
  } else {
    call->out[0].len = (u32)(range.at - start);
  }
  return DONE;
}

static u32 decode(Call *call) {
  const u8 *at = in_at(call, 0), *end = at + call->in[0].len;
  u32 length = 0, mode = STORED;
  if (at != end) {
    mode = *at++;
    length = (u32)(end - at);
    if (mode == CODED) at = read_length(at, end, MAX_LENGTH, &length);
    if (mode > CODED || at == 0 || length == 0 || length > MAX_LENGTH) return MALFORMED;
    if (mode == CODED && length / MOST_PER_BYTE > (u32)(end - at) + 4) return MALFORMED;
    if (mode == CODED && at != end && end[-1] == 0) return MALFORMED;
  }
  u32 scratch = mode == STORED ? 0 : lay_out(0, 0, length);
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
  Model *model = AT(Model, call->scratch->ptr);
  lay_out(model, call->scratch->ptr, length);
  Range range = {.at = (u8 *)(uintptr_t)at, .end = (u8 *)(uintptr_t)end};
  begin_reading(&range);
  range = read_all(model, range, out, length);
  return is_at_end(&range) ? DONE : MALFORMED;
}

#endif
