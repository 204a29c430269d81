/* adaptive_lpc: samples less a linear prediction whose weights follow the signal. See spec.md. */
#include "../floats.h"
#include "predictor.h"

static u32 scratch_of(u32 n, u32 order, u32 channels) {
  return (u32)sizeof(Predictor) * channels + 8 * (order + n + 1);
}

/* The prediction of a lane of T, whose values are its signed numbers over 2^(bits - 1). */
#define DEFINE_PASS(T)                                                                         \
  static T near_##T(double prediction) {                                                       \
    const double half = (double)((u64)1 << (8 * sizeof(T) - 1));                               \
    double whole = __builtin_floor(prediction * half + 0.5);                                   \
    if (!(whole >= -half)) whole = -half;                                                      \
    if (whole > half - 1) whole = half - 1;                                                    \
    return (T)(i64)whole;                                                                      \
  }                                                                                            \
  static void pass_##T(const Call *call, Predictor *predictors, u32 channels, u32 window,      \
                       double *values, u32 n) {                                                \
    const double unit = 1.0 / (double)((u64)1 << (8 * sizeof(T) - 1));                         \
    const T *in = in_at(call, 0);                                                              \
    T *out = out_at(call, 0);                                                                  \
    for (u32 i = 0, channel = 0; i < n; i++) {                                                 \
      Predictor *p = predictors + channel;                                                     \
      T near = near_##T(predicted(p, values + i));                                             \
      T sample = call->inverse ? (T)(in[i] + near) : in[i];                                    \
      out[i] = call->inverse ? sample : (T)(sample - near);                                    \
      values[i] = (double)(S_##T)sample * unit;                                                \
      follow(p, values + i, window);                                                           \
      if (++channel == channels) channel = 0;                                                  \
    }                                                                                          \
  }

DEFINE_PASS(u8)
DEFINE_PASS(u16)
DEFINE_PASS(u32)

static u32 work(Call *call) {
  u32 width, order, channels, window;
  if (!take_width(call, 1 | 2 | 4, &width) || !take_uint(call, 1, MOST_TAPS, &order) ||
      !take_uint(call, 1, MOST_CHANNELS, &channels) || !take_uint(call, 6, 14, &window) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  u32 refusal = same_length(call, width);
  if (refusal != DONE) return refusal;
  u32 n = call->in[0].len / width;
  if (n > (0xffffffffu - scratch_of(0, order, channels)) / 8) return unusable(call);
  if (call->bound) {
    call->scratch->len = scratch_of(n, order, channels);
    return DONE;
  }
  if (call->scratch->len < scratch_of(n, order, channels)) return SCRATCH;
  Predictor *predictors = AT(Predictor, call->scratch->ptr);
  double *values = (double *)(predictors + channels);
  for (u32 c = 0; c < channels; c++) prepare(predictors + c, order, channels);
  for (u32 i = 0; i < order; i++) *values++ = 0;
  switch (width) {
    case 1: pass_u8(call, predictors, channels, window, values, n); break;
    case 2: pass_u16(call, predictors, channels, window, values, n); break;
    default: pass_u32(call, predictors, channels, window, values, n); break;
  }
  return DONE;
}
