/* mantissa_quant: floats rounded to fewer mantissa bits, and the bits it took. See spec.md.
 *
 * Only integer instructions touch the lanes, so no NaN changes and no engine can differ. */
#include "../abi.h"

typedef u64 Unaligned __attribute__((aligned(1)));

#define LOW_BITS(bits) (((u64)1 << (bits)) - 1)

/* The residual is one string of bits, lowest first, taken and put a word at a time. Near its end,
 * where a word would reach past it, the bytes are taken and put one by one. */
static u64 read_word(const u8 *from, u32 left) {
  if (left >= 8) return *(const Unaligned *)from;
  u64 word = 0;
  for (u32 i = 0; i < left; i++) word |= (u64)from[i] << (8 * i);
  return word;
}

static void write_word(u8 *to, u32 left, u64 word) {
  if (left >= 8)
    *(Unaligned *)to = word;
  else
    for (u32 i = 0; i < left; i++) to[i] = (u8)(word >> (8 * i));
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
    u64 pending = 0;            /* bits that fill no byte yet */                              \
    u32 count = 0, at = 0;                                                                    \
    for (u32 i = 0; i < n; i++) {                                                             \
      T magnitude = in[i] & (T)~sign;                                                         \
      u64 low = magnitude & mask;                                                             \
      pending |= (magnitude >= infinity ? 0 : low) << count;                                  \
      write_word(residual + at, length - at, pending);                                        \
      count += bits;                                                                          \
      at += count >> 3;                                                                       \
      pending >>= count & ~7u;                                                                \
      count &= 7;                                                                             \
    }                                                                                         \
  }                                                                                           \
  /* Whether every lane is one that quantise makes. */                                        \
  static bool restore_##T(const T *restrict in, T *restrict out, const u8 *restrict residual, \
                          u32 length, u32 n, u32 bits) {                                      \
    const T sign = (T)1 << (8 * sizeof(T) - 1);                                               \
    const T infinity = (T)(sign - ((T)1 << mantissa));                                        \
    const T mask = (T)LOW_BITS(bits), half = (T)((mask >> 1) + 1);                            \
    bool wrong = false;                                                                       \
    u32 count = 0, at = 0;                                                                    \
    for (u32 i = 0; i < n; i++) {                                                             \
      T kept = in[i] & (T)~sign;                                                              \
      T low = (T)(read_word(residual + at, length - at) >> count) & mask;                     \
      count += bits;                                                                          \
      at += count >> 3;                                                                       \
      count &= 7;                                                                             \
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
