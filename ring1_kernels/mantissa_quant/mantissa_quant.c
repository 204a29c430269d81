/* mantissa_quant: floats rounded to fewer mantissa bits, and the bits the rounding took. See spec.md.
 *
 * Only integer instructions touch the lanes, so no NaN changes and no engine can differ. */
#include "../abi.h"

typedef u64 Unaligned __attribute__((aligned(1)));

#define LOW_BITS(bits) (((u64)1 << (bits)) - 1)

/* The residual is one string of bits, lowest first. Near its end, where a whole word would reach
 * past it, the bytes are taken one by one. */
static u64 read_bits(const u8 *from, u32 length, u64 position, u32 bits) {
  u32 at = (u32)(position >> 3);
  u64 word = 0;
  if (length - at >= 8)
    word = *(const Unaligned *)(from + at);
  else
    for (u32 i = 0; i < length - at; i++) word |= (u64)from[at + i] << (8 * i);
  return word >> (position & 7) & LOW_BITS(bits);
}

/* Everything at and after `position` is still zero or will be written later. */
static void write_bits(u8 *to, u32 length, u64 position, u64 carry, u64 *word) {
  u32 at = (u32)(position >> 3);
  *word = *word << (position & 7) | carry;
  if (length - at >= 8)
    *(Unaligned *)(to + at) = *word;
  else
    for (u32 i = 0; i < length - at; i++) to[at + i] = (u8)(*word >> (8 * i));
}

#define DEFINE(T, mantissa)                                                                   \
  enum { MANTISSA_##T = mantissa };                                                           \
  static void quantise_##T(const T *restrict in, T *restrict out, u8 *restrict residual,      \
                           u32 length, u32 n, u32 bits) {                                     \
    const T sign = (T)1 << (8 * sizeof(T) - 1);                                               \
    const T infinity = (T)(sign - ((T)1 << mantissa));                                        \
    const T mask = (T)LOW_BITS(bits), half = (T)((mask >> 1) + 1);                            \
    for (u32 i = 0; i < n; i++) {                                                             \
      T magnitude = in[i] & (T)~sign;                                                         \
      T rounded = (T)(magnitude + half) & (T)~mask;                                           \
      out[i] = (in[i] & sign) | (magnitude >= infinity ? magnitude : rounded);                \
    }                                                                                         \
    u64 position = 0, carry = 0;                                                              \
    for (u32 i = 0; i < n; i++) {                                                             \
      T magnitude = in[i] & (T)~sign;                                                         \
      u64 word = magnitude >= infinity ? 0 : magnitude & mask;                                \
      write_bits(residual, length, position, carry, &word);                                   \
      u64 next = position + bits;                                                             \
      carry = word >> 8 * ((next >> 3) - (position >> 3));                                    \
      position = next;                                                                        \
    }                                                                                         \
  }                                                                                           \
  /* Whether every lane is one that quantise makes. */                                        \
  static bool restore_##T(const T *restrict in, T *restrict out, const u8 *restrict residual, \
                          u32 length, u32 n, u32 bits) {                                      \
    const T sign = (T)1 << (8 * sizeof(T) - 1);                                               \
    const T infinity = (T)(sign - ((T)1 << mantissa));                                        \
    const T mask = (T)LOW_BITS(bits), half = (T)((mask >> 1) + 1);                            \
    bool wrong = false;                                                                       \
    u64 position = 0;                                                                         \
    for (u32 i = 0; i < n; i++, position += bits) {                                           \
      T kept = in[i] & (T)~sign;                                                              \
      T low = (T)read_bits(residual, length, position, bits);                                 \
      bool up = low >= half;      /* the rounding went up: the value lies below `kept` */     \
      T magnitude = (T)(kept + low - (up ? (T)(mask + 1) : 0));                               \
      bool special = kept >= infinity && !(kept == infinity && up);                           \
      wrong |= special ? low != 0 : (kept & mask) != 0 || (up && kept == 0);                  \
      out[i] = (in[i] & sign) | (special ? kept : magnitude);                                 \
    }                                                                                         \
    return !wrong;                                                                            \
  }

DEFINE(u32, 23)
DEFINE(u64, 52)

/* How long the residual of `n` lanes is: never longer than the lanes themselves. */
static u32 residual_length(u32 n, u32 bits) { return (u32)(((u64)n * bits + 7) / 8); }

static u32 forward(Call *call, u32 width, u32 bits) {
  if (call->n_in != 1 || call->n_out != 2) return CALL_SHAPE;
  u32 length = call->in[0].len;
  if (length % width != 0) return OUTSIDE_DOMAIN;
  u32 n = length / width, extra = residual_length(n, bits);
  if (call->bound) {
    call->out[0].cap = length;
    call->out[1].cap = extra;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[0].cap < length || call->out[1].cap < extra) return CAPACITY;
  call->out[0].len = length;
  call->out[1].len = extra;
  if (width == 4)
    quantise_u32(in_at(call, 0), out_at(call, 0), out_at(call, 1), extra, n, bits);
  else
    quantise_u64(in_at(call, 0), out_at(call, 0), out_at(call, 1), extra, n, bits);
  return DONE;
}

static u32 inverse(Call *call, u32 width, u32 bits) {
  if (call->n_in != 2 || call->n_out != 1) return CALL_SHAPE;
  u32 length = call->in[0].len, extra = call->in[1].len;
  u32 n = length / width;
  if (length % width != 0 || extra != residual_length(n, bits)) return MALFORMED;
  const u8 *residual = in_at(call, 1);
  u32 used = (u32)((u64)n * bits & 7);
  if (used != 0 && residual[extra - 1] >> used != 0) return MALFORMED;
  if (call->bound) {
    call->out[0].cap = length;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[0].cap < length) return CAPACITY;
  call->out[0].len = length;
  bool whole = width == 4
                   ? restore_u32(in_at(call, 0), out_at(call, 0), residual, extra, n, bits)
                   : restore_u64(in_at(call, 0), out_at(call, 0), residual, extra, n, bits);
  return whole ? DONE : MALFORMED;
}

static u32 work(Call *call) {
  u32 width, bits;
  if (!take_width(call, 4 | 8, &width) ||
      !take_uint(call, 1, width == 4 ? MANTISSA_u32 : MANTISSA_u64, &bits) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  return call->inverse ? inverse(call, width, bits) : forward(call, width, bits);
}
