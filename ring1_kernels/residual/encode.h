/* The forward operation: the steps of a block in order, then the state through them backwards. */
#ifndef RESIDUAL_ENCODE_H
#define RESIDUAL_ENCODE_H

#include "context.h"

/* What the decoder takes from the state at once: a symbol, raw bits, or a symbol and then raw bits. */
typedef struct {
  u16 start, range;        /* 0 and 0, the whole of 2^16, where there is no symbol */
  u16 raw, count;
} Step;

INLINE Step symbol_step(Model *first, Model *second, u32 symbol) {
  meet(first);
  if (second != 0) meet(second);
  Starts starts;
  STORE(u16, starts.start, mean(first, second, 0));
  STORE(u16, starts.start + PER_HALF, mean(first, second, 1));
  starts.start[SYMBOLS] = 0;
  learn(first, symbol);
  if (second != 0) learn(second, symbol);
  u16 start = starts.start[symbol];
  return (Step){.start = start, .range = (u16)(starts.start[symbol + 1] - start)};
}

/* A lane takes a step for each symbol and each sixteen bits that go without one. */
INLINE u32 most_steps(u32 width) { return levels_of(width) + (width == 8 ? 3 : width == 4); }

/* The steps of one lane; gives the step after the last. */
INLINE Step *put_value(Step *step, Models models, u64 value, u32 width) {
  u32 token = half_octave(value), rest = token, level = 0;
  u32 count = raw_bits(token), taken = count < WITH_SYMBOL ? count : WITH_SYMBOL;
  u64 raw = value - lowest_of(token);
  for (; width > 1 && rest >= ESCAPE && level + 1 < levels_of(width); level++, rest -= ESCAPE)
    *step++ = symbol_step(models.activity + level, level == 0 ? models.pair : 0, ESCAPE);
  *step = symbol_step(models.activity + level, level == 0 ? models.pair : 0, rest);
  step->raw = (u16)(raw & (((u64)1 << taken) - 1));
  step->count = (u16)taken;
  step++;
  while (width >= 4 && taken < count) {
    u32 more = count - taken < AT_ONCE ? count - taken : AT_ONCE;
    *step++ = (Step){.raw = (u16)(raw >> taken), .count = (u16)more};
    step[-1].raw &= (u16)((1u << more) - 1);
    taken += more;
  }
  return step;
}

/* The state before a step from the state after it. Words go down from `word`; gives the lowest. */
INLINE u32 *undo_step(u64 *state, const Step *step, u32 *word) {
  u64 range = step->range == 0 ? 1 << 16 : step->range, x = *state;
  if (x >= range << (63 - 16 - step->count)) {
    *--word = (u32)x;
    x >>= 32;
  }
  x = x << step->count | step->raw;
  *state = (x / range) << 16 | (x % range + step->start);
  return word;
}

typedef struct {
  u8 *at, *end;            /* beyond `end` lies what is longer than the data as they are */
} Sink;

static bool put_bytes(Sink *sink, const void *bytes, u32 length) {
  if ((u32)(sink->end - sink->at) < length) return false;
  copy_bytes(sink->at, bytes, length);
  sink->at += length;
  return true;
}

/* One block: its state, then its words. The words are laid down where steps no longer needed were. */
static bool put_block(Sink *sink, Step *steps, const Step *end, u64 begin, bool whole, u8 *mode) {
  u64 state = begin;
  u32 *last = (u32 *)end, *word = last;
  for (const Step *step = end; step-- != steps;) word = undo_step(&state, step, word);
  u32 bytes = WHOLE_STATE;
  if (!whole) bytes = *mode = (u8)(log2_of(state) / 8 + 1);
  return put_bytes(sink, &state, bytes) && put_bytes(sink, word, 4 * (u32)(last - word));
}

INLINE Step *steps_of_block(Step *step, Context *context, const u8 *in, u32 n, u32 width) {
  for (u32 i = 0; i < n; i++) {
    u64 value = lane_at(in, i, width);
    step = put_value(step, models_of(context, width, context->row != 0), value, width);
    put_size(context, value, width);
  }
  return step;
}

/* False when the coded lanes are not shorter than the lanes. */
INLINE bool encode_lanes(Sink *sink, u8 *mode, Context context, Step *steps, const u8 *in, u32 n,
                         u32 width) {
  for (u32 i = 0; i < n;) {
    u32 left = n - i, some = left < BLOCK ? left : BLOCK;
    const u8 *from = in + i * width;
    const Step *end = steps_of_block(steps, &context, from, some, width);
    if (!put_block(sink, steps, end, begin_of(some == left), n > BLOCK, mode)) return false;
    i += some;
  }
  return true;
}

static void put_head(Sink *sink, u8 mode, u32 n) {
  *sink->at++ = mode;
  for (; n >= 0x80; n >>= 7) *sink->at++ = (u8)(n | 0x80);
  *sink->at++ = (u8)n;
}

/* The length of what was coded, or 0 when that is no shorter than the lanes. */
static u32 encode_coded(Call *call, u32 width, u32 row, u32 channels) {
  u32 length = call->in[0].len, n = length / width, head = 2;
  for (u32 more = n >> 7; more != 0; more >>= 7) head++;
  if (length <= head) return 0;
  u8 *out = out_at(call, 0), *scratch = AT(u8, call->scratch->ptr), mode = WHOLE_STATE;
  const u8 *in = in_at(call, 0);
  Sink sink = {out + head, out + length};
  Step *steps = (Step *)(scratch + (context_bytes(n, row, channels, width) + 15 & ~15u));
  Context context = context_at(scratch, row, channels, width);
  bool good;
  switch (width) {
    case 1: good = encode_lanes(&sink, &mode, context, steps, in, n, 1); break;
    case 2: good = encode_lanes(&sink, &mode, context, steps, in, n, 2); break;
    case 4: good = encode_lanes(&sink, &mode, context, steps, in, n, 4); break;
    default: good = encode_lanes(&sink, &mode, context, steps, in, n, 8); break;
  }
  if (!good) return 0;
  put_head(&(Sink){out, out + head}, mode, n);
  return (u32)(sink.at - out);
}

static u32 encode(Call *call, u32 width, u32 row, u32 channels) {
  u32 length = call->in[0].len, n = length / width;
  if (length % width != 0 || length > MAX_LENGTH) return OUTSIDE_DOMAIN;
  if (row >= n) row = 0;
  u32 cap = length == 0 ? 0 : length + 1;
  u32 steps = (n < BLOCK ? n : BLOCK) * most_steps(width) * (u32)sizeof(Step);
  u32 scratch = n == 0 ? 0 : context_bytes(n, row, channels, width) + 16 + steps;
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

#endif
