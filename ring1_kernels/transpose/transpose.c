/* transpose: a table of whole records column by column, then what is left. See spec.md. */
#include "../abi.h"

/* Rows that are moved together: each column then gets some lanes that lie side by side, while the
 * rows they come from still lie in the cache. */
enum { TILE = 16 };

#define DEFINE(T)                                                                             \
  static void to_columns_##T(const T *restrict in, T *restrict out, u32 rows, u32 record) {   \
    for (u32 top = 0; top < rows; top += TILE) {                                              \
      u32 count = rows - top < TILE ? rows - top : TILE;                                      \
      for (u32 column = 0; column < record; column++) {                                       \
        const T *from = in + top * record + column;                                           \
        T *to = out + column * rows + top;                                                    \
        for (u32 i = 0; i < count; i++) to[i] = from[i * record];                             \
      }                                                                                       \
    }                                                                                         \
  }                                                                                           \
  static void to_records_##T(const T *restrict in, T *restrict out, u32 rows, u32 record) {   \
    for (u32 top = 0; top < rows; top += TILE) {                                              \
      u32 count = rows - top < TILE ? rows - top : TILE;                                      \
      for (u32 column = 0; column < record; column++) {                                       \
        const T *from = in + column * rows + top;                                             \
        T *to = out + top * record + column;                                                  \
        for (u32 i = 0; i < count; i++) to[i * record] = from[i];                             \
      }                                                                                       \
    }                                                                                         \
  }                                                                                           \
  static void turn_##T(const Call *call, u32 record) {                                        \
    const T *in = in_at(call, 0);                                                             \
    T *out = out_at(call, 0);                                                                 \
    u32 rows = call->in[0].len / (u32)sizeof(T) / record;                                     \
    if (call->inverse)                                                                        \
      to_records_##T(in, out, rows, record);                                                  \
    else                                                                                      \
      to_columns_##T(in, out, rows, record);                                                  \
    u32 moved = rows * record * (u32)sizeof(T);                                               \
    copy_bytes((u8 *)out + moved, (const u8 *)in + moved, call->in[0].len - moved);           \
  }

DEFINE(u8)
DEFINE(u16)
DEFINE(u32)
DEFINE(u64)

static u32 work(Call *call) {
  u32 width, record;
  if (!take_width(call, 1 | 2 | 4 | 8, &width) || !take_uint(call, 1, 65536, &record) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  u32 refusal = same_length(call, width);
  if (refusal != DONE || call->bound) return refusal;
  switch (width) {
    case 1: turn_u8(call, record); break;
    case 2: turn_u16(call, record); break;
    case 4: turn_u32(call, record); break;
    default: turn_u64(call, record); break;
  }
  return DONE;
}
