/* What the mixer's predictions came to before, by context: lines of probabilities from which a
 * prediction is read between the two nearest knots. */
#ifndef REDOXA_REFINER_H
#define REDOXA_REFINER_H

#include "logistic.h"

enum { LINES = 1024, KNOTS = 33 };

typedef struct {
  u16 lines[LINES][KNOTS];                /* in 65536ths */
  u16 *nearest;
} Refiner;

static void fill_refiner(Refiner *r, const Tables *t) {
  for (u32 knot = 0; knot < KNOTS; knot++) {
    u16 start = (u16)squash(t, ((i32)knot - KNOTS / 2) * SQUASH_STEP);
    for (u32 line = 0; line < LINES; line++) r->lines[line][knot] = start;
  }
}

/* The probability of 65536, from 1 to 65535, half of it the mixer's and half of the line. */
static inline u32 refine(Refiner *r, i32 stretched, u32 mixed, u32 line) {
  u32 at = (u32)(limited(stretched, CERTAIN) + 2048);
  u32 knot = at / SQUASH_STEP, part = at % SQUASH_STEP;
  u16 *near = r->lines[line] + knot;
  u32 read = (near[0] * (SQUASH_STEP - part) + near[1] * part) / SQUASH_STEP;
  r->nearest = near + (part >= SQUASH_STEP / 2);
  u32 p = (mixed + read) / 2;
  return p < 1 ? 1 : p;
}

/* A 64th of the way to the bit. */
static inline void refined(Refiner *r, u32 bit) {
  i32 before = *r->nearest;
  *r->nearest = (u16)(before + ((bit ? 65535 : 0) - before) / 64);
}

#endif
