/* The inverse: lanes from a stream that may be anyone's. */
#ifndef RESIDUAL_DECODE_H
#define RESIDUAL_DECODE_H

#include "context.h"

typedef u32 Word __attribute__((aligned(1)));

typedef struct {
  u64 x;
  const u8 *at, *end;
} State;

INLINE void refill(State *state) {
  if (state->x < LOWEST && state->end - state->at >= 4) {
    state->x = state->x << 32 | *(const Word *)state->at;
    state->at += 4;
  }
}

/* The next symbol; the state is not yet refilled. */
INLINE u32 take_symbol(State *state, Model *first, Model *second) {
  meet(first);
  if (second != 0) meet(second);
  V_u16 low = mean(first, second, 0), high = mean(first, second, 1);
  u16 slot = (u16)state->x;
  u32 symbol = count_up_to(low, high, slot) - 1;
  Starts starts;
  STORE(u16, starts.start, low);
  STORE(u16, starts.start + PER_HALF, high);
  starts.start[SYMBOLS] = 0;
  u32 start = starts.start[symbol];
  u16 range = (u16)(starts.start[symbol + 1] - start);
  state->x = range * (state->x >> 16) + slot - start;
  learn(first, symbol);
  if (second != 0) learn(second, symbol);
  return symbol;
}

INLINE u64 take_bits(State *state, u32 count) {
  u64 bits = state->x & (((u64)1 << count) - 1);
  state->x >>= count;
  return bits;
}

/* One lane. A token that lanes of this width do not have gives a value that is too large, too. */
INLINE u64 take_lane(State *state, Models models, u32 width, bool *good) {
  u32 token = take_symbol(state, models.activity, models.pair);
  if (width > 1 && token == ESCAPE) {
    u32 level = 0, symbol;
    do {
      refill(state);
      symbol = take_symbol(state, models.activity + ++level, 0);
      token += symbol;
    } while (symbol == ESCAPE && level + 1 < levels_of(width));
    *good &= token < 16 * width;
    token &= 16 * width - 1;
  }
  u32 count = raw_bits(token), taken = count < WITH_SYMBOL ? count : WITH_SYMBOL;
  u64 value = lowest_of(token) + take_bits(state, taken);
  refill(state);
  while (width >= 4 && taken < count) {
    u32 more = count - taken < AT_ONCE ? count - taken : AT_ONCE;
    value += take_bits(state, more) << taken;
    taken += more;
    refill(state);
  }
  return value;
}

/* The lanes of one block. */
INLINE bool take_block(State *state, Context *context, void *out, u32 n, u32 width, bool grid) {
  State now = *state;
  Context here = *context;
  bool good = true;
  for (u32 i = 0; i < n; i++) {
    u64 value = take_lane(&now, models_of(&here, width, grid), width, &good);
    put_lane(out, i, value, width);
    put_size(&here, value, width);
  }
  *state = now;
  *context = here;
  return good;
}

typedef struct {
  const u8 *at, *end;      /* what follows the head */
  u32 mode, n;
} Head;

/* The mode and the number of lanes, in its shortest form. False when they are not well formed. */
static bool read_head(const u8 *at, const u8 *end, u32 width, Head *head) {
  *head = (Head){.at = at, .end = end};
  if (at == end) return true;
  head->mode = *at++;
  u64 sum = (u64)(end - at) / width;
  if (head->mode == STORED) {
    if (sum == 0 || sum * width != (u64)(end - at)) return false;
  } else {
    u32 shift = 0;
    for (sum = 0; shift < 35 && at != end && *at >= 0x80; shift += 7)
      sum |= (u64)(*at++ & 0x7f) << shift;
    if (shift == 35 || at == end || *at == 0) return false;
    sum |= (u64)*at++ << shift;
  }
  head->at = at;
  head->n = (u32)sum;
  if (sum > MAX_LENGTH / width || head->mode > WHOLE_STATE) return false;
  return head->mode == STORED || head->n <= BLOCK || head->mode == WHOLE_STATE;
}

static bool take_state(State *state, u32 bytes) {
  if ((u32)(state->end - state->at) < bytes) return false;
  state->x = 0;
  for (u32 i = 0; i < bytes; i++) state->x |= (u64)*state->at++ << (8 * i);
  return true;
}

INLINE bool decode_lanes(Head head, Context context, u8 *out, u32 width) {
  State state = {.at = head.at, .end = head.end};
  for (u32 i = 0; i < head.n;) {
    u32 left = head.n - i, n = left < BLOCK ? left : BLOCK;
    u8 *to = out + i * width;
    if (!take_state(&state, head.mode)) return false;
    bool good = context.row != 0 ? take_block(&state, &context, to, n, width, true)
                                 : take_block(&state, &context, to, n, width, false);
    if (!good || state.x != begin_of(n == left)) return false;
    i += n;
  }
  return state.at == state.end;
}

static u32 decode(Call *call, u32 width, u32 row, u32 channels) {
  const u8 *at = in_at(call, 0);
  Head head;
  if (!read_head(at, at + call->in[0].len, width, &head)) return MALFORMED;
  if (row >= head.n) row = 0;
  u32 length = head.n * width;
  u32 scratch = head.mode == STORED ? 0 : context_bytes(head.n, row, channels, width);
  if (call->bound) {
    call->out[0].cap = length;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < length) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = length;
  u8 *out = out_at(call, 0);
  if (head.mode == STORED) {
    copy_bytes(out, head.at, length);
    return DONE;
  }
  Context context = context_at(AT(u8, call->scratch->ptr), row, channels, width);
  bool good;
  switch (width) {
    case 1: good = decode_lanes(head, context, out, 1); break;
    case 2: good = decode_lanes(head, context, out, 2); break;
    case 4: good = decode_lanes(head, context, out, 4); break;
    default: good = decode_lanes(head, context, out, 8); break;
  }
  return good ? DONE : MALFORMED;
}

#endif
