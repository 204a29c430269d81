/* byte_split: one stream for each byte of a lane, least significant first. See spec.md. */
#include "../abi.h"
#include "../bytes16.h"

#define DEFINE(width)                                                                      \
  static void split_##width(const u8 *lanes, const Output *out, u32 n) {                   \
    u32 i = 0;                                                                             \
    for (; i + 16 <= n; i += 16) {                                                         \
      Bytes v[width];                                                                      \
      UNROLL for (u32 j = 0; j < width; j++)                                               \
        v[j] = *(const Bytes *)(lanes + (size_t)i * width + 16 * j);                       \
      split16(v, width);                                                                   \
      UNROLL for (u32 j = 0; j < width; j++) *(Bytes *)(AT(u8, out[j].ptr) + i) = v[j];           \
    }                                                                                      \
    for (; i < n; i++)                                                                     \
      for (u32 j = 0; j < width; j++) AT(u8, out[j].ptr)[i] = lanes[(size_t)i * width + j];\
  }                                                                                        \
  static void join_##width(const Input *in, u8 *lanes, u32 n) {                            \
    u32 i = 0;                                                                             \
    for (; i + 16 <= n; i += 16) {                                                         \
      Bytes v[width];                                                                      \
      UNROLL for (u32 j = 0; j < width; j++) v[j] = *(const Bytes *)(AT(const u8, in[j].ptr) + i);\
      join16(v, width);                                                                    \
      UNROLL for (u32 j = 0; j < width; j++) *(Bytes *)(lanes + (size_t)i * width + 16 * j) = v[j];\
    }                                                                                      \
    for (; i < n; i++)                                                                     \
      for (u32 j = 0; j < width; j++)                                                      \
        lanes[(size_t)i * width + j] = AT(const u8, in[j].ptr)[i];                         \
  }

DEFINE(2)
DEFINE(4)
DEFINE(8)

static u32 split(Call *call, u32 width) {
  if (call->n_in != 1 || call->n_out != width) return CALL_SHAPE;
  if (call->in[0].len % width != 0) return OUTSIDE_DOMAIN;
  u32 n = call->in[0].len / width;
  for (u32 j = 0; j < width; j++) {
    if (call->bound)
      call->out[j].cap = n;
    else if (call->out[j].cap < n)
      return CAPACITY;
    else
      call->out[j].len = n;
  }
  if (call->bound) {
    call->scratch->len = 0;
    return DONE;
  }
  switch (width) {
    case 2: split_2(in_at(call, 0), call->out, n); break;
    case 4: split_4(in_at(call, 0), call->out, n); break;
    default: split_8(in_at(call, 0), call->out, n); break;
  }
  return DONE;
}

static u32 join(Call *call, u32 width) {
  if (call->n_in != width || call->n_out != 1) return CALL_SHAPE;
  u32 n = call->in[0].len;
  for (u32 j = 1; j < width; j++)
    if (call->in[j].len != n) return MALFORMED;
  /* Planes this long cannot come of one input, whose length is a 32-bit number. */
  if (n > UINT32_MAX / width) return MALFORMED;
  if (call->bound) {
    call->out[0].cap = n * width;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[0].cap < n * width) return CAPACITY;
  call->out[0].len = n * width;
  switch (width) {
    case 2: join_2(call->in, out_at(call, 0), n); break;
    case 4: join_4(call->in, out_at(call, 0), n); break;
    default: join_8(call->in, out_at(call, 0), n); break;
  }
  return DONE;
}

static u32 work(Call *call) {
  u32 width;
  if (!take_width(call, 2 | 4 | 8, &width) || !no_more_parameters(call)) return BAD_PARAMETER;
  return call->inverse ? join(call, width) : split(call, width);
}
