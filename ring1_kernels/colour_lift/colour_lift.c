/* colour_lift: three colours as one and two differences, modulo 2^width. See spec.md. */
#include "../lanes.h"

enum { GREEN = 0, HALF_RED = 1, MEAN = 2, YCOCG = 3 };

/* Half of a difference that may be below 0, rounded down. */
#define HALF(T, x) ((T)((S_##T)(x) >> 1))

/* Differences lie around the middle of the range, so that the step from -1 to 0 is small there. */
#define MIDDLE(T) ((T)1 << (8 * sizeof(T) - 1))

#define DEFINE(T)                                                                      \
  static void lift_##T(T *pixel, u32 mode) {                                           \
    T red = pixel[0], green = pixel[1], blue = pixel[2], first = green, second, third; \
    if (mode == GREEN || mode == HALF_RED) {                                           \
      second = (T)(red - green);                                                       \
      third = (T)(blue - green);                                                       \
      if (mode == HALF_RED) third = (T)(third - HALF(T, second));                      \
    } else {                                                                           \
      second = (T)(red - blue);                                                        \
      T middle = (T)(blue + HALF(T, second));                                          \
      third = (T)(green - middle);                                                     \
      if (mode == YCOCG) first = (T)(middle + HALF(T, third));                         \
    }                                                                                  \
    pixel[0] = first;                                                                  \
    pixel[1] = (T)(second + MIDDLE(T));                                                \
    pixel[2] = (T)(third + MIDDLE(T));                                                 \
  }                                                                                    \
  static void lower_##T(T *pixel, u32 mode) {                                          \
    T first = pixel[0], second = (T)(pixel[1] - MIDDLE(T));                            \
    T third = (T)(pixel[2] - MIDDLE(T)), green = first, red, blue;                     \
    if (mode == GREEN || mode == HALF_RED) {                                           \
      red = (T)(second + green);                                                       \
      if (mode == HALF_RED) third = (T)(third + HALF(T, second));                      \
      blue = (T)(third + green);                                                       \
    } else {                                                                           \
      if (mode == YCOCG) green = (T)(first - HALF(T, third) + third);                  \
      blue = (T)(green - third - HALF(T, second));                                     \
      red = (T)(blue + second);                                                        \
    }                                                                                  \
    pixel[0] = red;                                                                    \
    pixel[1] = green;                                                                  \
    pixel[2] = blue;                                                                   \
  }                                                                                    \
  static void all_##T(T *pixels, u32 n, u32 channels, u32 mode, bool inverse) {        \
    for (u32 i = 0; n - i >= channels; i += channels)                                  \
      if (inverse)                                                                     \
        lower_##T(pixels + i, mode);                                                   \
      else                                                                             \
        lift_##T(pixels + i, mode);                                                    \
  }

DEFINE(u8)
DEFINE(u16)

static u32 work(Call *call) {
  u32 width, channels, mode;
  if (!take_width(call, 1 | 2, &width) || !take_uint(call, 3, 64, &channels) ||
      !take_uint(call, 0, 3, &mode) || !no_more_parameters(call))
    return BAD_PARAMETER;
  u32 refusal = same_length(call, width);
  if (refusal != DONE || call->bound) return refusal;
  u8 *out = out_at(call, 0);
  copy_bytes(out, in_at(call, 0), call->in[0].len);
  if (width == 1)
    all_u8(out, call->in[0].len, channels, mode, call->inverse);
  else
    all_u16((u16 *)out, call->in[0].len / 2, channels, mode, call->inverse);
  return DONE;
}
