/* decimal: floats that are whole numbers divided by one power of ten, as these. See spec.md. */
#include "../abi.h"

/* Powers of ten up to this one are doubles. */
enum { MOST_PLACES = 22 };

/* So many lanes decide on the power; one that saves no more than this part is as good as a lower. */
enum { LOOKED_AT = 1024, PART = 64 };

/* From here on a double is no longer every whole number. */
static const double LARGEST = 9007199254740992.0;

enum { SCALED, REST };

typedef union { u32 bits; float value; } F32;
typedef union { u64 bits; double value; } F64;

static double power_of_ten(u32 places) {
  double power = 1;
  for (u32 i = 0; i < places; i++) power *= 10;
  return power;
}

static u8 *put_number(u8 *to, u32 value) {
  for (; value >= 0x80; value >>= 7) *to++ = (u8)(value | 0x80);
  *to++ = (u8)value;
  return to;
}

static bool take_number(const u8 **at, const u8 *end, u32 *value) {
  u64 sum = 0;
  for (u32 shift = 0; shift < 35; shift += 7) {
    if (*at == end) return false;
    u8 byte = *(*at)++;
    sum |= (u64)(byte & 0x7f) << shift;
    if (byte & 0x80) continue;
    *value = (u32)sum;
    return (byte != 0 || shift == 0) && sum <= 0xffffffffu;
  }
  return false;
}

/* U is a lane's bits, S the same with a sign, F the union that shows its float. */
#define DEFINE(U, S, F, type)                                                                     \
  static inline U lane_##U(S number, double power) {                                              \
    return ((F){.value = (type)((double)number / power)}).bits;                                   \
  }                                                                                               \
  /* Whether a lane is a whole number divided by that power of ten, and which. */                 \
  static inline bool scale_##U(U bits, double power, S *number) {                                 \
    double scaled = __builtin_rint((double)((F){.bits = bits}).value * power);                    \
    double most = sizeof(U) == 4 ? 2147483647.0 : LARGEST;                                        \
    if (!(scaled >= -most && scaled <= most)) return false;                                       \
    *number = (S)scaled;                                                                          \
    return lane_##U(*number, power) == bits;                                                      \
  }                                                                                               \
  static u32 places_##U(const U *in, u32 n) {                                                     \
    u32 step = n / LOOKED_AT + 1, most = 0, best = 0;                                             \
    for (u32 places = 0; places <= MOST_PLACES; places++) {                                       \
      double power = power_of_ten(places);                                                        \
      u32 hits = 0;                                                                               \
      S number;                                                                                   \
      for (u32 i = 0; i < n; i += step) hits += scale_##U(in[i], power, &number);                 \
      if (hits <= most + most / PART) continue;                                                   \
      most = hits;                                                                                \
      best = places;                                                                              \
    }                                                                                             \
    return best;                                                                                  \
  }                                                                                               \
  static u8 *forward_##U(const U *in, U *out, u8 *rest, u32 n) {                                  \
    u32 places = places_##U(in, n), exceptions = 0, gap = 0;                                      \
    double power = power_of_ten(places);                                                          \
    S number = 0;                                                                                 \
    /* An exception's lane is the one before it, which costs least. */                            \
    for (u32 i = 0; i < n; i++) {                                                                 \
      S found;                                                                                    \
      bool fits = scale_##U(in[i], power, &found);                                                \
      if (fits) number = found;                                                                   \
      out[i] = (U)number;                                                                         \
      exceptions += lane_##U(number, power) != in[i];                                             \
    }                                                                                             \
    rest = put_number(put_number(rest, places), exceptions);                                      \
    for (u32 i = 0; i < n; i++, gap++) {                                                          \
      if (lane_##U((S)out[i], power) == in[i]) continue;                                          \
      rest = put_number(rest, gap);                                                               \
      gap = (u32)-1;                                                                              \
    }                                                                                             \
    for (u32 i = 0; i < n; i++)                                                                   \
      if (lane_##U((S)out[i], power) != in[i])                                                    \
        for (u32 k = 0; k < sizeof(U); k++) *rest++ = (u8)(in[i] >> 8 * k);                       \
    return rest;                                                                                  \
  }                                                                                               \
  static bool inverse_##U(const U *in, U *out, u32 n, const u8 *rest, const u8 *end) {            \
    u32 places, exceptions, gap;                                                                  \
    if (!take_number(&rest, end, &places) || places > MOST_PLACES) return false;                  \
    if (!take_number(&rest, end, &exceptions)) return false;                                      \
    double power = power_of_ten(places);                                                          \
    for (u32 i = 0; i < n; i++) out[i] = lane_##U((S)in[i], power);                               \
    u64 bytes = (u64)exceptions * sizeof(U), at = 0;                                              \
    if (bytes > (u64)(end - rest)) return false;                                                  \
    const u8 *lanes = end - bytes;                                                                \
    for (; exceptions; exceptions--, at++) {                                                      \
      if (!take_number(&rest, lanes, &gap)) return false;                                         \
      at += gap;                                                                                  \
      if (at >= n) return false;                                                                  \
      U bits = 0;                                                                                 \
      for (u32 k = 0; k < sizeof(U); k++) bits |= (U)*(end - bytes + k) << 8 * k;                 \
      bytes -= sizeof(U);                                                                         \
      out[at] = bits;                                                                             \
    }                                                                                             \
    return rest == lanes;                                                                         \
  }

DEFINE(u32, i32, F32, float)
DEFINE(u64, int64_t, F64, double)

static u32 forward(Call *call, u32 width) {
  if (call->n_in != 1 || call->n_out != 2) return CALL_SHAPE;
  u32 length = call->in[0].len, n = length / width;
  if (length % width != 0) return OUTSIDE_DOMAIN;
  /* Of every exception its distance, which is a byte and another for each 128 lanes, and its bits. */
  u64 most = n ? 6 + (u64)length + n + (n >> 7) : 0;
  if (most > 0xffffffffu) return OUTSIDE_DOMAIN;
  if (call->bound) {
    call->out[SCALED].cap = length;
    call->out[REST].cap = (u32)most;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[SCALED].cap < length || call->out[REST].cap < most) return CAPACITY;
  u8 *rest = out_at(call, REST), *end = rest;
  if (n && width == 4) end = forward_u32(in_at(call, 0), out_at(call, SCALED), rest, n);
  if (n && width == 8) end = forward_u64(in_at(call, 0), out_at(call, SCALED), rest, n);
  call->out[SCALED].len = length;
  call->out[REST].len = (u32)(end - rest);
  return DONE;
}

static u32 inverse(Call *call, u32 width) {
  if (call->n_in != 2 || call->n_out != 1) return CALL_SHAPE;
  u32 length = call->in[SCALED].len, n = length / width;
  if (length % width != 0) return MALFORMED;
  if (call->bound) {
    call->out[0].cap = length;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[0].cap < length) return CAPACITY;
  const u8 *rest = in_at(call, REST), *end = rest + call->in[REST].len;
  bool is_whole = n ? (width == 4 ? inverse_u32(in_at(call, SCALED), out_at(call, 0), n, rest, end)
                                  : inverse_u64(in_at(call, SCALED), out_at(call, 0), n, rest, end))
                    : rest == end;
  if (!is_whole) return MALFORMED;
  call->out[0].len = length;
  return DONE;
}

static u32 work(Call *call) {
  u32 width;
  if (!take_width(call, 4 | 8, &width) || !no_more_parameters(call)) return BAD_PARAMETER;
  return call->inverse ? inverse(call, width) : forward(call, width);
}
