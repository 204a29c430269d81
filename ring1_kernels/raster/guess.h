/* What is known of a lane before it is coded: its neighbours, eight guesses, and their blend. */
#ifndef RASTER_GUESS_H
#define RASTER_GUESS_H

#include "mixing.h"

enum {
  GUESSES = 8,
  TAPS = 20,               /* what a filter sees; the last two are always 0 */
  PART = 16,               /* guesses are in sixteenths */
  KINDS = 4,               /* the channels from the fourth on learn together */
  CLOSEST = 5,             /* bits that the least error has left when weights are looked up */
  FARTHEST = 255,
  WORST = 65535,
  QUICK = 17,              /* the paces of the filters */
  SLOW = 15,
  STEEPEST = 1 << 22,
  TEXTURES = 64,
  ACTIVITIES = 12,
  TURNOVER = 128,          /* from so many lanes on, half of a bias is forgotten */
};

/* 2^20 / (e^2 + 1) */
#define W(e) ((1 << 20) / ((e) * (e) + 1))
#define W4(e) W(e), W(e + 1), W(e + 2), W(e + 3)
#define W16(e) W4(e), W4(e + 4), W4(e + 8), W4(e + 12)
#define W64(e) W16(e), W16(e + 16), W16(e + 32), W16(e + 48)
static const i32 WEIGHT[FARTHEST + 1] = {W64(0), W64(64), W64(128), W64(192)};

typedef u16 Errors __attribute__((vector_size(16)));

/* How far guesses were from the values, in all, and how often. */
typedef struct {
  i32 sum, count;
} Bias;

typedef struct {
  i32 tap[2][KINDS][TAPS]; /* of a quick and of a slow filter, in 2^16 */
  Bias bias[KINDS * TEXTURES * ACTIVITIES];
} Learned;

/* Lanes and what they missed by, with zeros before the first; `at` is the lane in turn. */
typedef struct {
  u32 row, channels, channel, at, mask;
  u16 *value;
  i16 *missed;
  Errors *errors;          /* a ring */
  Learned *learned;
} Field;

/* Everything relative to the lane on the left, `west`. */
typedef struct {
  u32 west;
  i32 north, north_west, north_east, far_north, far_west;
  i32 rise, turn;          /* what the channel before did from the left, and from above */
  i32 tap[TAPS];
  i64 energy;
  i32 filtered[2];         /* guesses of the filters, in sixteenths */
  i32 guess[GUESSES];
  u32 error;               /* the least error of a guess nearby */
  u32 activity;
  i32 low, high;           /* no guess goes beyond, in sixteenths */
  Bias *bias;
  i32 blend;               /* the guess, in sixteenths; `nearest` is it in whole ones */
  i32 nearest;
} Guess;

INLINE u32 size_of(i32 value) { return (u32)(value < 0 ? -value : value); }
INLINE i32 least(i32 a, i32 b) { return a < b ? a : b; }
INLINE i32 most(i32 a, i32 b) { return a > b ? a : b; }
INLINE u32 at_most(u32 value, u32 limit) { return value < limit ? value : limit; }
INLINE u32 length_of(u32 value) { return value == 0 ? 0 : 32 - (u32)__builtin_clz(value); }

/* 0, 1, 2, 3, then two classes an octave. */
INLINE u32 half_octave(u32 value) {
  if (value < 4) return value;
  u32 exponent = 31 - (u32)__builtin_clz(value);
  return 2 * exponent + (value >> (exponent - 1) & 1);
}

INLINE i32 with_sign(u32 value, u32 width) { return width == 1 ? (i8)value : (i16)value; }

/* The difference of two lanes, so many back. */
INLINE i32 step(const Field *field, u32 to, u32 from, u32 width) {
  return with_sign((u32)field->value[field->at - to] - field->value[field->at - from], width);
}

/* Four differences of a channel before this one, a pixel's own and those above. */
INLINE void look_across(const Field *field, u32 back, i32 *tap, u32 width) {
  u32 row = field->row, channels = field->channels;
  tap[0] = step(field, back, back + channels, width);
  tap[1] = step(field, back + row, back + channels, width);
  tap[2] = step(field, back + row + channels, back + channels, width);
  tap[3] = step(field, back + row - channels, back + channels, width);
}

INLINE void look_around(const Field *field, Guess *guess, u32 width) {
  u32 r = field->row, c = field->channels;
  *guess = (Guess){.west = field->value[field->at - c]};
  i32 *tap = guess->tap;
  tap[0] = guess->far_west = step(field, 2 * c, c, width);
  tap[1] = guess->north = step(field, r, c, width);
  tap[2] = guess->north_west = step(field, r + c, c, width);
  tap[3] = guess->north_east = step(field, r - c, c, width);
  tap[4] = guess->far_north = step(field, 2 * r, c, width);
  tap[5] = step(field, 2 * r - c, c, width);
  tap[6] = step(field, r - 2 * c, c, width);
  tap[7] = step(field, r + 2 * c, c, width);
  tap[8] = step(field, 3 * c, c, width);
  tap[9] = step(field, 2 * r + c, c, width);
  if (field->channel > 0) look_across(field, 1, tap + 10, width);
  if (field->channel > 1) look_across(field, 2, tap + 14, width);
  if (field->channel > 0) {
    guess->rise = tap[10];
    guess->turn = step(field, 1, r + 1, width);
  }
  i64 energy = 0;
  for (u32 k = 0; k < TAPS; k++) energy += (i64)tap[k] * tap[k];
  guess->energy = energy;
}

/* The neighbours' range, half as wide again on both sides and a little more. */
INLINE void set_range(Guess *guess) {
  i32 low = least(least(guess->north, guess->north_east), least(guess->north_west, 0));
  i32 high = most(most(guess->north, guess->north_east), most(guess->north_west, 0));
  i32 more = (high - low) / 2 + 2;
  guess->low = PART * (low - more);
  guess->high = PART * (high + more);
}

INLINE i32 filtered(const i32 *weight, const Guess *guess) {
  i64 sum = 0;
  for (u32 k = 0; k < TAPS; k++) sum += (i64)weight[k] * guess->tap[k];
  sum >>= 12;
  return (i32)(sum < guess->low ? guess->low : sum > guess->high ? guess->high : sum);
}

INLINE void make_guesses(const Field *field, Guess *guess, u32 kind) {
  i32 north = guess->north, plane = north - guess->north_west;
  for (u32 k = 0; k < 2; k++) guess->filtered[k] = filtered(field->learned->tap[k][kind], guess);
  i32 *g = guess->guess;
  g[0] = PART * plane;
  g[1] = PART * guess->north_east;
  g[2] = PART * north;
  g[3] = 0;
  g[4] = guess->filtered[0];
  g[5] = guess->filtered[1];
  if (field->channel > 0) {
    g[6] = PART * north + PART / 2 * guess->turn;
    g[7] = PART / 2 * guess->rise;
  } else {
    g[6] = PART * (north + guess->north_east - guess->tap[5]);
    g[7] = PART * within(plane, least(0, north), most(0, north));
  }
}

/* The guesses weighted by the inverse squares of their errors at five neighbours. */
INLINE i32 blended(const Field *field, Guess *guess) {
  u32 r = field->row, c = field->channels, at = field->at, mask = field->mask;
  u32 sum[GUESSES], smallest = 0xffffffff;
  for (u32 k = 0; k < GUESSES; k++) {
    sum[k] = 2u * ((u32)field->errors[(at - c) & mask][k] + field->errors[(at - 2 * c) & mask][k] +
                   field->errors[(at - r) & mask][k] + field->errors[(at - r + c) & mask][k] +
                   field->errors[(at - r - c) & mask][k]);
    if (k != 4 && k != 5) sum[k] += 8;
    smallest = at_most(sum[k], smallest);
  }
  guess->error = smallest;
  u32 length = length_of(smallest), shift = length > CLOSEST ? length - CLOSEST : 0;
  i64 wanted = 0;
  i32 total = 0;
  for (u32 k = 0; k < GUESSES; k++) {
    i32 weight = WEIGHT[at_most(sum[k] >> shift, FARTHEST)];
    total += weight;
    wanted += (i64)weight * guess->guess[k];
  }
  return (i32)(wanted / total);
}

INLINE u32 activity_at(const Field *field) {
  const i16 *missed = field->missed + field->at;
  u32 r = field->row, c = field->channels;
  u32 sum = 2 * size_of(missed[-(i32)c]) + 2 * size_of(missed[-(i32)r]) +
            size_of(missed[(i32)c - (i32)r]) + size_of(missed[-(i32)(r + c)]) +
            size_of(missed[-(i32)(2 * c)]) + size_of(missed[-(i32)(2 * r)]);
  return field->channel == 0 ? sum : sum + 2 * size_of(missed[-1]);
}

/* Which of six neighbours and guesses lie above the blend. */
INLINE u32 texture_of(const Guess *guess) {
  i32 p = guess->blend;
  return (u32)(PART * guess->north > p) | (u32)(0 > p) << 1 |
         (u32)(PART * guess->north_west > p) << 2 | (u32)(PART * guess->north_east > p) << 3 |
         (u32)(guess->filtered[0] > p) << 4 |
         (u32)(PART * (2 * guess->north - guess->far_north) > p) << 5;
}

/* All that is known before the lane. */
INLINE void make_guess(const Field *field, Guess *guess, u32 kind, u32 width) {
  look_around(field, guess, width);
  set_range(guess);
  make_guesses(field, guess, kind);
  guess->blend = blended(field, guess);
  guess->activity = activity_at(field);
  u32 activity = at_most(length_of(guess->activity), ACTIVITIES - 1);
  guess->bias = field->learned->bias + (kind * TEXTURES + texture_of(guess)) * ACTIVITIES + activity;
  Bias *bias = guess->bias;
  if (bias->count != 0) guess->blend += bias->sum / bias->count;
  guess->blend = within(guess->blend, guess->low, guess->high);
  guess->nearest = (guess->blend + PART / 2) >> 4;
}

/* A normalised step down the slope of the squared error. */
INLINE void teach_filter(i32 *weight, const Guess *guess, i32 error, u32 pace) {
  i64 gain = (i64)error * ((i64)1 << pace) / (guess->energy * 16 + 1024);
  gain = gain > STEEPEST ? STEEPEST : gain < -STEEPEST ? -STEEPEST : gain;
  for (u32 k = 0; k < TAPS; k++)
    weight[k] = (i32)((u32)weight[k] + (u32)((gain * guess->tap[k]) >> 6));
}

/* What the lane was, for all that learns from it. */
INLINE void learn_lane(Field *field, const Guess *guess, u32 kind, u32 value, u32 width) {
  i32 actual = PART * with_sign(value - guess->west, width);
  Errors errors;
  for (u32 k = 0; k < GUESSES; k++)
    errors[k] = (u16)at_most(size_of(actual - guess->guess[k]) >> (width == 1 ? 0 : 2), WORST);
  field->errors[field->at & field->mask] = errors;
  Bias *bias = guess->bias;
  i32 before = bias->count == 0 ? 0 : bias->sum / bias->count;
  bias->sum += actual - (guess->blend - before);
  if (++bias->count >= TURNOVER) {
    bias->sum /= 2;
    bias->count /= 2;
  }
  teach_filter(field->learned->tap[0][kind], guess, actual - guess->filtered[0], QUICK);
  teach_filter(field->learned->tap[1][kind], guess, actual - guess->filtered[1], SLOW);
}

#endif
