/* Probabilities, the logistic domain that they are mixed in, and how fast they adapt. */
#ifndef REDOXA_LOGISTIC_H
#define REDOXA_LOGISTIC_H

#include "lanes.h"

/* A stretched probability is 256 ln(p / (1 - p)), here from -2816 to 2816. */
enum { STRETCH_LIMIT = 2816, SQUASH_STEP = 128, PROBABILITIES = 4096, CERTAIN = 2047 };

/* 65536 / (1 + exp(-k / 2)) for k from -22 to 22; between them squash is a straight line. */
static const u32 SQUASHED[] = {
    1, 2, 3, 5, 8, 13, 22, 36, 60, 98, 162,
    267, 439, 720, 1179, 1921, 3108, 4971, 7812, 11955, 17625, 24743,
    32768, 40793, 47911, 53581, 57724, 60565, 62428, 63615, 64357, 64816, 65097,
    65269, 65374, 65438, 65476, 65500, 65514, 65523, 65528, 65531, 65533, 65534,
    65535};

static inline i32 limited(i32 value, i32 limit) {
  return value > limit ? limit : value < -limit ? -limit : value;
}

typedef struct {
  u16 squash[2 * STRETCH_LIMIT + 1];
  i16 stretch[PROBABILITIES];
  u16 rates[1024];
} Tables;

/* The probability, in 65536ths, of a stretched one from -STRETCH_LIMIT to STRETCH_LIMIT. */
static inline u32 squash(const Tables *t, i32 stretched) {
  return t->squash[stretched + STRETCH_LIMIT];
}

static void fill_tables(Tables *t) {
  for (u32 at = 0; at < 2 * STRETCH_LIMIT; at++) {
    u32 knot = at / SQUASH_STEP, part = at % SQUASH_STEP;
    t->squash[at] =
        (u16)((SQUASHED[knot] * (SQUASH_STEP - part) + SQUASHED[knot + 1] * part) / SQUASH_STEP);
  }
  t->squash[2 * STRETCH_LIMIT] = 65535;
  /* The inverse, for probabilities in 4096ths, limited to what fits an input of a mixer. */
  u32 next = 0;
  for (i32 value = -CERTAIN; value <= CERTAIN; value++)
    for (u32 last = squash(t, value) / 16; next <= last; next++) t->stretch[next] = (i16)value;
  for (; next < PROBABILITIES; next++) t->stretch[next] = CERTAIN;
  for (u32 count = 0; count < 1024; count++) t->rates[count] = (u16)(655360 / (10 * count + 16));
}

/* An adaptive probability: 22 bits of it, and how often it was adapted in the lowest 10. */
typedef u32 Adaptive;

static inline u32 probability(Adaptive a, u32 bits) { return a >> (32 - bits); }

static inline Adaptive adaptive(u32 of_65536) { return of_65536 << 16; }

/* The first steps are long, the later ones as short as `limit` lets them become: 1 / (n + 1.6) of
 * the way. */
static inline void adapt(Adaptive *a, u32 bit, u32 limit, const Tables *t) {
  u32 count = *a & 1023;
  i32 before = (i32)(*a >> 10);
  i32 target = bit ? 4194303 : 0;
  i32 after = before + (i32)(((i64)(target - before) * t->rates[count]) >> 16);
  *a = (u32)after << 10 | (count < limit ? count + 1 : count);
}

static inline u32 hash(u32 a, u32 b) {
  u32 h = a * 0x9e3779b1u + b * 0x85ebca6bu + 0x27d4eb2fu;
  h = (h ^ h >> 15) * 0x2c1b3c6du;
  return (h ^ h >> 13) * 0x297a2d39u;
}

#endif
