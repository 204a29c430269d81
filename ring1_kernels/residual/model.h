/* Adaptive probabilities of sixteen symbols. A model keeps two tables of where each symbol begins in
 * 2^15, one quick and one slow to learn; what is coded with is the mean of both, and of the tables
 * of a second model where there is one, in 2^16. */
#ifndef RESIDUAL_MODEL_H
#define RESIDUAL_MODEL_H

#include "../lanes.h"
#include "format.h"

enum { SYMBOLS = 16, PER_HALF = 8, LEARNED = 32 };

/* All zeros is a model that has seen nothing. */
typedef struct {
  V_u16 quick[2], slow[2];
  u32 seen;
  u32 unused[3];
} Model;

/* Where each symbol begins; the last entry, 2^16, is 0 in sixteen bits. */
typedef struct {
  u16 start[SYMBOLS + 1];
} Starts;

/* What the tables move to after each symbol: every symbol keeps one slot of 2^15, it gets the rest. */
#define AIM(s, i) (u16)((i) > (s) ? 32768 - SYMBOLS + (i) : (i))
#define ROW(s)                                                                              \
  {{AIM(s, 0), AIM(s, 1), AIM(s, 2), AIM(s, 3), AIM(s, 4), AIM(s, 5), AIM(s, 6), AIM(s, 7)},  \
   {AIM(s, 8), AIM(s, 9), AIM(s, 10), AIM(s, 11), AIM(s, 12), AIM(s, 13), AIM(s, 14),         \
    AIM(s, 15)}}
static const V_u16 AIMS[SYMBOLS][2] = {ROW(0),  ROW(1),  ROW(2),  ROW(3), ROW(4),  ROW(5),
                                       ROW(6),  ROW(7),  ROW(8),  ROW(9), ROW(10), ROW(11),
                                       ROW(12), ROW(13), ROW(14), ROW(15)};

/* The share of the way that a table moves is 2^-shift; large while little was seen. */
static const u8 QUICK[LEARNED + 1] = {2, 2, 3, 3, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5,
                                      5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};
static const u8 SLOW[LEARNED + 1] = {2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5,
                                     5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 7};

/* A model gets its tables when it is first met: most contexts of a short stream never are. */
INLINE void meet(Model *model) {
  if (model->seen != 0) return;
  model->quick[0] = model->slow[0] =
      (V_u16){0, 2048, 4096, 6144, 8192, 10240, 12288, 14336};
  model->quick[1] = model->slow[1] =
      (V_u16){16384, 18432, 20480, 22528, 24576, 26624, 28672, 30720};
}

/* A start stays above the one before: both move to aims that rise, by the same share. */
INLINE V_u16 moved(V_u16 from, V_u16 aim, u32 shift) {
  return from + (V_u16)((SV_u16)(aim - from) >> (short)shift);
}

INLINE void learn(Model *model, u32 symbol) {
  u32 quick = QUICK[model->seen], slow = SLOW[model->seen];
  for (u32 half = 0; half < 2; half++) {
    V_u16 aim = AIMS[symbol][half];
    model->quick[half] = moved(model->quick[half], aim, quick);
    model->slow[half] = moved(model->slow[half], aim, slow);
  }
  model->seen += model->seen < LEARNED;
}

INLINE V_u16 one_mean(const Model *model, u32 half) {
  return model->quick[half] + model->slow[half];
}

/* Halved before they are added: four starts can exceed sixteen bits. */
INLINE V_u16 mean(const Model *first, const Model *second, u32 half) {
  if (second == 0) return one_mean(first, half);
  return (one_mean(first, half) >> 1) + (one_mean(second, half) >> 1);
}

/* How many of sixteen starts are at most `slot`. */
INLINE u32 count_up_to(V_u16 low, V_u16 high, u16 slot) {
#ifdef __wasm__
  return (u32)__builtin_popcount((u32)__builtin_wasm_bitmask_i8x16(
      __builtin_wasm_narrow_s_i8x16_i16x8((SV_u16)(low <= slot), (SV_u16)(high <= slot))));
#else
  u32 count = 0;
  for (u32 i = 0; i < PER_HALF; i++) count += (u32)(low[i] <= slot) + (u32)(high[i] <= slot);
  return count;
#endif
}

#endif
