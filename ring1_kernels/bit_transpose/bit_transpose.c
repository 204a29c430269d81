/* bit_transpose: one run of bytes for each bit of a lane, lowest first. See spec.md. */
#include "../abi.h"
#include "../bytes16.h"

typedef u64 Words __attribute__((vector_size(16), aligned(1)));

/* Eight bytes as an 8 x 8 square of bits, mirrored: bit b of byte i and bit i of byte b change
 * places. Its own inverse. Single bits change places first, then pairs, then fours. */
#define SWAP(x, keep, move, distance) \
  ((x & keep) | (x & move) << distance | (x >> distance & move))
#define MIRROR(x)                                                      \
  do {                                                                 \
    x = SWAP(x, 0xAA55AA55AA55AA55u, 0x00AA00AA00AA00AAu, 7);          \
    x = SWAP(x, 0xCCCC3333CCCC3333u, 0x0000CCCC0000CCCCu, 14);         \
    x = SWAP(x, 0xF0F0F0F00F0F0F0Fu, 0x00000000F0F0F0F0u, 28);         \
  } while (0)

/* The same byte of 128 lanes goes to the eight planes of its bits, sixteen bytes to each. */
__attribute__((noinline)) static void put_bits(const Bytes *part, u8 *planes, u32 stride) {
  Bytes v[8];
  UNROLL for (u32 i = 0; i < 8; i++) {
    Words x = (Words)part[i];
    MIRROR(x);
    v[i] = (Bytes)x;
  }
  split16(v, 8);
  UNROLL for (u32 b = 0; b < 8; b++) *(Bytes *)(planes + (size_t)b * stride) = v[b];
}

/* The inverse of put_bits. */
__attribute__((noinline)) static void get_bits(const u8 *planes, Bytes *part, u32 stride) {
  Bytes v[8];
  UNROLL for (u32 b = 0; b < 8; b++) v[b] = *(const Bytes *)(planes + (size_t)b * stride);
  join16(v, 8);
  UNROLL for (u32 i = 0; i < 8; i++) {
    Words x = (Words)v[i];
    MIRROR(x);
    part[i] = (Bytes)x;
  }
}

/* Lanes 128 at a time while there are so many; gives how many. Planes have `stride` bytes. */
#define DEFINE(width)                                                                       \
  static u32 part_##width(const u8 *restrict lanes, u8 *restrict planes, u32 n, u32 stride) {\
    u32 i = 0;                                                                              \
    for (; i + 128 <= n; i += 128) {                                                        \
      Bytes part[width][8];                                                                 \
      for (u32 k = 0; k < 8; k++) {                                                         \
        Bytes v[width];                                                                     \
        UNROLL for (u32 j = 0; j < width; j++)                                              \
          v[j] = *(const Bytes *)(lanes + (size_t)(i + 16 * k) * width + 16 * j);           \
        split16(v, width);                                                                  \
        UNROLL for (u32 j = 0; j < width; j++) part[j][k] = v[j];                           \
      }                                                                                     \
      for (u32 j = 0; j < width; j++)                                                       \
        put_bits(part[j], planes + (size_t)8 * j * stride + i / 8, stride);                 \
    }                                                                                       \
    return i;                                                                               \
  }                                                                                         \
  static u32 join_##width(const u8 *restrict planes, u8 *restrict lanes, u32 n, u32 stride) {\
    u32 i = 0;                                                                              \
    for (; i + 128 <= n; i += 128) {                                                        \
      Bytes part[width][8];                                                                 \
      for (u32 j = 0; j < width; j++)                                                       \
        get_bits(planes + (size_t)8 * j * stride + i / 8, part[j], stride);                 \
      for (u32 k = 0; k < 8; k++) {                                                         \
        Bytes v[width];                                                                     \
        UNROLL for (u32 j = 0; j < width; j++) v[j] = part[j][k];                           \
        join16(v, width);                                                                   \
        UNROLL for (u32 j = 0; j < width; j++)                                              \
          *(Bytes *)(lanes + (size_t)(i + 16 * k) * width + 16 * j) = v[j];                 \
      }                                                                                     \
    }                                                                                       \
    return i;                                                                               \
  }

DEFINE(1)
DEFINE(2)
DEFINE(4)
DEFINE(8)

/* Byte j of the eight lanes from `i` on: eight bits of eight planes. */
static void part_eight(const u8 *lanes, u8 *planes, u32 width, u32 i, u32 j, u32 stride) {
  u64 x = 0;
  for (u32 k = 0; k < 8; k++) x |= (u64)lanes[(size_t)(i + k) * width + j] << (8 * k);
  MIRROR(x);
  for (u32 b = 0; b < 8; b++) planes[(size_t)(8 * j + b) * stride + i / 8] = (u8)(x >> (8 * b));
}

static void join_eight(const u8 *planes, u8 *lanes, u32 width, u32 i, u32 j, u32 stride) {
  u64 x = 0;
  for (u32 b = 0; b < 8; b++) x |= (u64)planes[(size_t)(8 * j + b) * stride + i / 8] << (8 * b);
  MIRROR(x);
  for (u32 k = 0; k < 8; k++) lanes[(size_t)(i + k) * width + j] = (u8)(x >> (8 * k));
}

static u32 by_hundreds(bool inverse, const u8 *in, u8 *out, u32 width, u32 n, u32 stride) {
  switch (width) {
    case 1: return inverse ? join_1(in, out, n, stride) : part_1(in, out, n, stride);
    case 2: return inverse ? join_2(in, out, n, stride) : part_2(in, out, n, stride);
    case 4: return inverse ? join_4(in, out, n, stride) : part_4(in, out, n, stride);
    default: return inverse ? join_8(in, out, n, stride) : part_8(in, out, n, stride);
  }
}

static u32 work(Call *call) {
  u32 width;
  if (!take_width(call, 1 | 2 | 4 | 8, &width) || !no_more_parameters(call))
    return BAD_PARAMETER;
  u32 refusal = same_length(call, width);
  if (refusal != DONE || call->bound) return refusal;
  const u8 *in = in_at(call, 0);
  u8 *out = out_at(call, 0);
  u32 length = call->in[0].len;
  u32 stride = length / width / 8;
  u32 whole = 8 * stride;
  for (u32 i = by_hundreds(call->inverse, in, out, width, whole, stride); i < whole; i += 8)
    for (u32 j = 0; j < width; j++)
      if (call->inverse)
        join_eight(in, out, width, i, j, stride);
      else
        part_eight(in, out, width, i, j, stride);
  /* Up to seven lanes are left over; they stay as they are. */
  for (u32 i = whole * width; i < length; i++) out[i] = in[i];
  return DONE;
}
