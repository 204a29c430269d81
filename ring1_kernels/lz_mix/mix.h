/* Chances of bits: slots that learn them, and mixers that weigh what eight slots say. */
#ifndef LZ_MIX_MIX_H
#define LZ_MIX_MIX_H

#include "../abi.h"

typedef int16_t i16;
typedef int64_t i64;
typedef i32 Four __attribute__((vector_size(16), aligned(4)));

#define ALWAYS __attribute__((always_inline)) static inline
#define EACH _Pragma("clang loop unroll(full)")

enum {
  INPUTS = 8,
  ONE = 1 << 16,           /* certainty, and the weight 1 */
  FIRST_WEIGHT = 19661,    /* 0.3 */
  LEARNING = 12,
  FIRST_SHARE = 13107,     /* 0.4 */
  STRETCHED = 2047,        /* no stretched chance lies further from 0 */
};

/* ONE / (1 + e^-x) for x = -8, -7.75, ..., 8. */
static const u16 LOGISTIC[65] = {
    22, 28, 36, 47, 60, 77, 98, 126, 162, 208, 267, 342, 439,
    562, 720, 922, 1179, 1506, 1921, 2446, 3108, 3938, 4971, 6249, 7812, 9702,
    11955, 14595, 17625, 21025, 24743, 28693, 32768, 36843, 40793, 44511, 47911, 50941, 53581,
    55834, 57724, 59287, 60565, 61598, 62428, 63090, 63615, 64030, 64357, 64614, 64816, 64974,
    65097, 65194, 65269, 65328, 65374, 65410, 65438, 65459, 65476, 65489, 65500, 65508, 65514};

typedef struct {
  i16 stretch[4096];       /* of a chance less one half, in 4096ths */
  u16 squash[4096];        /* of -2048 .. 2047, in 65536ths */
  u32 share[1024];         /* what the n-th observation counts, in 65536ths */
} Curves;

static void draw_curves(Curves *curves) {
  for (u32 i = 0; i < 4096; i++) {
    u32 k = i >> 6, part = i & 63;
    curves->squash[i] = (u16)((LOGISTIC[k] * (64 - part) + LOGISTIC[k + 1] * part) >> 6);
  }
  for (u32 p = 0, d = 1; p < 4096; p++) {
    while (d < 4095 && curves->squash[d] < 16 * p + 8) d++;
    curves->stretch[p ^ 0x800] = (i16)((i32)d - 2048);
  }
  for (u32 n = 0; n < 1024; n++) curves->share[n] = 655360 / (10 * n + 16);
}

/* A chance of a 1 in 22 bits over a count in 10. Zero stands for one half, never observed. */
typedef u32 Fine;

static inline u32 chance(Fine slot) { return slot >> 10 ^ 1u << 21; }

static inline void observe(Fine *slot, const Curves *curves, u32 bit, u32 limit) {
  u32 count = *slot & 1023;
  i32 p = (i32)chance(*slot);
  p += (i32)(((i64)((bit ? (1 << 22) - 1 : 0) - p) * curves->share[count]) >> 16);
  *slot = ((u32)p ^ 1u << 21) << 10 | (count < limit ? count + 1 : count);
}

/* A chance of a 1 less one half, in 65536ths, over what the next observation counts, in 32768ths and
 * turned so that zero stands for one half, never observed. */
typedef i32 Slot;

typedef struct {
  Four weight[2];
} Mixer;

/* The slots that have a say in one bit, what they held, and what that says. */
typedef struct {
  Slot *slot[INPUTS];
  Four held[2], said[2];
} Voices;

#define SAYS(held) curves->stretch[(u32)(held) >> 20]

/* The chance of a 1, in 65536ths. */
ALWAYS u32 weigh(Voices *voices, const Mixer *mixer, const Curves *curves) {
  EACH for (u32 i = 0; i < 2; i++) {
    Slot *const *slot = voices->slot + 4 * i;
    Slot a = *slot[0], b = *slot[1], c = *slot[2], d = *slot[3];
    voices->held[i] = (Four){a, b, c, d};
    voices->said[i] = (Four){SAYS(a), SAYS(b), SAYS(c), SAYS(d)};
  }
  const Four *said = voices->said, *weight = mixer->weight;
  Four sum = said[0] * (weight[0] >> 2) + said[1] * (weight[1] >> 2);
  i32 stretched = (i32)((u32)sum[0] + (u32)sum[1] + (u32)sum[2] + (u32)sum[3]) >> 14;
  if (stretched > STRETCHED) stretched = STRETCHED;
  if (stretched < -STRETCHED) stretched = -STRETCHED;
  return curves->squash[stretched + 2048];
}

/* Four slots after a bit: the newer they are, the further they move. */
ALWAYS Four moved(Four held, u32 bit, i32 least) {
  Four share = (held & 0xffff) ^ FIRST_SHARE, p = held >> 16;
  p += (((bit ? 32767 : -32768) - p) * share + 16384) >> 15;
  share -= share * share >> 15;
  Four enough = share > least;
  share = (share & enough) | (least & ~enough);
  return p << 16 | (share ^ FIRST_SHARE);
}

/* What was said is weighed by how it turned out, and the slots take note. */
ALWAYS void learn(Voices *voices, Mixer *mixer, u32 p, u32 bit, i32 least) {
  i32 error = (((i32)(bit << 16) - (i32)p) >> 4) * LEARNING;
  EACH for (u32 i = 0; i < 2; i++) {
    mixer->weight[i] += (voices->said[i] * error + 0x8000) >> 16;
    Four held = moved(voices->held[i], bit, least);
    EACH for (u32 j = 0; j < 4; j++) *voices->slot[4 * i + j] = held[j];
  }
}

#endif
