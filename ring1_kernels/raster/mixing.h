/* Bits coded one by one: each with the mean of two mixtures of what eight contexts have learned. */
#ifndef RASTER_MIXING_H
#define RASTER_MIXING_H

#include "../lanes.h"

#define INLINE static inline __attribute__((always_inline))

enum {
  CONTEXTS = 8,
  NODES = 32,              /* places in the code of a residual that learn apart */
  SLOWEST = 262,           /* the least share, in 2^16: a slot forgets as fast as it learns */
  HALF = 0x8000,
  ONE = 4096,              /* a probability of 1 */
  REACH = 2047,            /* the logarithm of odds, in 256ths, lies within +-REACH */
  FIRST_WEIGHT = 9830,     /* 0.15 in 2^16 */
  HEAVIEST = 1 << 19,
  PACE = 11,
  BY_ACTIVITY = 32,
  BY_ERROR = 64,
};

/* 4096 / (1 + e^(-x / 256)) for x from -2048, 64 apart. */
static const u16 KNOTS[65] = {
    1, 2, 2, 3, 4, 5, 6, 8, 10, 13, 17, 21, 27, 35, 45, 58, 74, 94, 120, 153, 194, 246, 311, 391,
    488, 606, 747, 912, 1102, 1314, 1546, 1793, 2048, 2303, 2550, 2782, 2994, 3184, 3349, 3490,
    3608, 3705, 3785, 3850, 3902, 3943, 3976, 4002, 4022, 4038, 4051, 4061, 4069, 4075, 4079,
    4083, 4086, 4088, 4090, 4091, 4092, 4093, 4094, 4094, 4095,
};

/* In the high half a probability that a bit is 1, less a half, in 2^16; in the low half the share of
 * the way that it moves with the next bit, turned over in its highest bit. Zeros are a slot that has
 * seen nothing: a half, and half of the way. */
typedef u32 Slot;

typedef i32 Four __attribute__((vector_size(16)));

/* What is added to the first weights; the last is that of a constant. */
typedef struct {
  Four weight[2];
  i32 constant, unused[3];
} Mixer;

typedef struct {
  u16 chance[ONE];         /* of each logarithm of odds + 2048 */
  i16 odds[ONE];           /* its inverse */
  Mixer by_activity[BY_ACTIVITY * NODES], by_error[BY_ERROR * NODES];
} Mixing;

/* Where the next bits learn: a run of NODES slots for each context, and of mixers. */
typedef struct {
  Slot *slot[CONTEXTS];
  Mixer *by_activity, *by_error;
} Place;

/* An arithmetic coder whose interval shrinks from low to high, both included. */
typedef struct {
  u32 low, high, value;
  const u8 *in, *in_end;
  u8 *out, *out_end;
  bool decode, over;       /* over: more bytes were wanted than there are, or than there is room for */
} Coder;

INLINE i32 within(i32 value, i32 low, i32 high) {
  return value < low ? low : value > high ? high : value;
}

/* The tables, in memory that is all zeros. */
static void begin_mixing(Mixing *mixing) {
  u32 next = 0;
  for (i32 x = -2048; x < 2048; x++) {
    u32 at = (u32)(x + 2048), knot = at / 64, part = at % 64;
    u32 chance = (KNOTS[knot] * (64 - part) + KNOTS[knot + 1] * part + 32) / 64;
    mixing->chance[at] = (u16)chance;
    for (; next <= chance; next++) mixing->odds[next] = (i16)x;
  }
  for (; next < ONE; next++) mixing->odds[next] = REACH;
}

INLINE u8 next_byte(Coder *coder) {
  if (coder->in != coder->in_end) return *coder->in++;
  coder->over = true;
  return 0;
}

/* A bit whose probability to be 1 is chance / 4096; decoding gives it, encoding is given it. */
INLINE u32 code_bit(Coder *coder, u32 chance, u32 bit) {
  u32 middle = coder->low + (u32)(((u64)(coder->high - coder->low) * chance) >> 12);
  if (coder->decode) bit = coder->value <= middle;
  if (bit)
    coder->high = middle;
  else
    coder->low = middle + 1;
  while ((coder->low ^ coder->high) >> 24 == 0) {
    if (coder->decode) {
      coder->value = coder->value << 8 | next_byte(coder);
    } else if (coder->out != coder->out_end) {
      *coder->out++ = (u8)(coder->high >> 24);
    } else {
      coder->over = true;
    }
    coder->low <<= 8;
    coder->high = coder->high << 8 | 255;
  }
  return bit;
}

/* The sum of eight products, each short of its lowest eight bits. */
INLINE i32 mixed(const Mixer *mixer, const Four *odds) {
  Four first = FIRST_WEIGHT + (Four){};
  Four sum = (((mixer->weight[0] + first) * odds[0]) >> 8) +
             (((mixer->weight[1] + first) * odds[1]) >> 8);
  i32 all = sum[0] + sum[1] + sum[2] + sum[3] + mixer->constant;
  return within(all >> 8, -REACH, REACH);
}

INLINE Four bounded(Four weight) {
  weight = __builtin_elementwise_min(weight, HEAVIEST + (Four){});
  return __builtin_elementwise_max(weight, -HEAVIEST + (Four){});
}

INLINE void teach(Mixer *mixer, const Four *odds, i32 error) {
  for (u32 half = 0; half < 2; half++)
    mixer->weight[half] =
        bounded(mixer->weight[half] + ((odds[half] * error + (1 << (PACE - 1))) >> PACE));
  mixer->constant =
      within(mixer->constant + ((256 * error + (1 << (PACE - 1))) >> PACE), -HEAVIEST, HEAVIEST);
}

/* Four slots after a bit. The shares fall nearly as one over the number of bits. */
INLINE Four moved(Four slot, u32 bit) {
  Four chance = slot >> 16, share = (slot & 0xffff) ^ HALF;
  chance += (((bit ? HALF - 1 : -HALF) - chance) * share) >> 16;
  share -= (share * share) >> 16;
  share = __builtin_elementwise_max(share, SLOWEST + (Four){});
  return chance << 16 | (share ^ HALF);
}

/* One bit at one node of a place. Not inlined: it is most of the work, and is asked for in five
 * places. */
static __attribute__((noinline)) u32 model_bit(Mixing *mixing, Coder *coder, const Place *place,
                                               u32 node, u32 bit) {
  Slot *slot[CONTEXTS];
  Four seen[2], odds[2];
  for (u32 k = 0; k < CONTEXTS; k++) {
    slot[k] = place->slot[k] + node;
    seen[k / 4][k % 4] = (i32)*slot[k];
  }
  for (u32 half = 0; half < 2; half++) {
    Four chance = ((seen[half] >> 16) + HALF) >> 4;
    for (u32 k = 0; k < 4; k++) odds[half][k] = mixing->odds[chance[k]];
  }
  Mixer *one = place->by_activity + node, *other = place->by_error + node;
  i32 here = mixed(one, odds), there = mixed(other, odds);
  u32 chance = mixing->chance[((here + there) >> 1) + 2048];
  bit = code_bit(coder, chance, bit);
  teach(one, odds, (i32)(bit * ONE) - mixing->chance[here + 2048]);
  teach(other, odds, (i32)(bit * ONE) - mixing->chance[there + 2048]);
  for (u32 half = 0; half < 2; half++) seen[half] = moved(seen[half], bit);
  for (u32 k = 0; k < CONTEXTS; k++) *slot[k] = (Slot)seen[k / 4][k % 4];
  return bit;
}

#endif
