/* Mixing: predictions in the logistic domain, weighed by sets of weights that learn.
 *
 * Each of several selectors picks one set of weights; what the sets say is averaged by a last
 * mixer. A weight of 1 is 65536, so 16 bits hold weights from -1/2 to 1/2. Before this file a kernel
 * defines VECTORS (of eight inputs), SELECTORS, SETS (that each picks from), LAST_SETS and HASTE, how
 * fast the weights learn. */
#ifndef REDOXA_MIXER_H
#define REDOXA_MIXER_H

#include "logistic.h"

typedef i16 Shorts __attribute__((vector_size(16)));

typedef struct {
  Shorts inputs[VECTORS];
  Shorts weights[SELECTORS][SETS][VECTORS];
  i32 last[LAST_SETS][SELECTORS];         /* 1 is 65536 */
  u32 picked[SELECTORS];
  i32 said[SELECTORS];                    /* stretched */
  u32 last_picked;
  u32 mixed;
} Mixer;

#ifdef __wasm__
#include <wasm_simd128.h>

/* The sum of the products. It fits: inputs lie from -2048 to 2047, and there are 32 at most. */
static inline i32 dot(const Shorts *inputs, const Shorts *weights) {
  v128_t sum = wasm_i32x4_const_splat(0);
  for (u32 i = 0; i < VECTORS; i++)
    sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8((v128_t)inputs[i], (v128_t)weights[i]));
  return wasm_i32x4_extract_lane(sum, 0) + wasm_i32x4_extract_lane(sum, 1) +
         wasm_i32x4_extract_lane(sum, 2) + wasm_i32x4_extract_lane(sum, 3);
}

/* a b / 32768, rounded; |a| or |b| is below 32768 in each lane. */
static inline Shorts scaled(Shorts a, Shorts b) {
  return (Shorts)wasm_i16x8_q15mulr_sat((v128_t)a, (v128_t)b);
}

static inline Shorts added(Shorts a, Shorts b) {
  return (Shorts)wasm_i16x8_add_sat((v128_t)a, (v128_t)b);
}
#else
/* The same lane by lane, for compilers of other machines. */
static inline i32 dot(const Shorts *inputs, const Shorts *weights) {
  i32 sum = 0;
  for (u32 i = 0; i < VECTORS; i++)
    for (u32 lane = 0; lane < 8; lane++) sum += inputs[i][lane] * weights[i][lane];
  return sum;
}

static inline Shorts scaled(Shorts a, Shorts b) {
  Shorts made;
  for (u32 lane = 0; lane < 8; lane++) made[lane] = (i16)((a[lane] * b[lane] + 0x4000) >> 15);
  return made;
}

static inline Shorts added(Shorts a, Shorts b) {
  Shorts made;
  for (u32 lane = 0; lane < 8; lane++) {
    i32 sum = a[lane] + b[lane];
    made[lane] = (i16)(sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum);
  }
  return made;
}
#endif

static inline Shorts everywhere(i32 value) {
  i16 v = (i16)value;
  return (Shorts){v, v, v, v, v, v, v, v};
}

/* What the mixer makes of its inputs, stretched; `mixed` keeps it as a probability of 65536. */
static inline i32 mix(Mixer *m, const Tables *t) {
  i64 sum = 0;
  for (u32 s = 0; s < SELECTORS; s++) {
    m->said[s] = limited(dot(m->inputs, m->weights[s][m->picked[s]]) >> 16, CERTAIN);
    sum += (i64)m->said[s] * m->last[m->last_picked][s];
  }
  i32 stretched = limited((i32)(sum >> 16), STRETCH_LIMIT - 1);
  m->mixed = squash(t, stretched);
  return stretched;
}

/* Move the weights towards what would have predicted the bit. */
static inline void teach(Mixer *m, u32 bit, const Tables *t) {
  i32 target = bit ? 65535 : 0;
  i32 last_error = (target - (i32)m->mixed) / 16;
  i32 *last = m->last[m->last_picked];
  for (u32 s = 0; s < SELECTORS; s++) {
    Shorts error = everywhere((target - (i32)squash(t, m->said[s])) * HASTE / 16);
    Shorts *weights = m->weights[s][m->picked[s]];
    for (u32 i = 0; i < VECTORS; i++) weights[i] = added(weights[i], scaled(m->inputs[i], error));
    last[s] += (m->said[s] * last_error) >> 11;
  }
}

/* Every set begins with these weights, and every selector counts alike. */
static void fill_mixer(Mixer *m, const Shorts *first) {
  for (u32 s = 0; s < SELECTORS; s++) {
    for (u32 set = 0; set < SETS; set++)
      for (u32 i = 0; i < VECTORS; i++) m->weights[s][set][i] = first[i];
    for (u32 set = 0; set < LAST_SETS; set++) m->last[set][s] = 65536 / SELECTORS;
  }
}

#endif
