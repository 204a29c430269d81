/* scanlines: the filters of PNG undone, and applied again as their numbers say. See spec.md. */
#include "../abi.h"

enum { FILTERS, PIXELS, SPLIT };
enum { NONE, LEFT, ABOVE, MEAN, NEAREST };

static inline u8 nearest(u32 left, u32 above, u32 corner) {
  i32 guess = (i32)(left + above - corner);
  i32 to_left = __builtin_abs(guess - (i32)left), to_above = __builtin_abs(guess - (i32)above);
  i32 to_corner = __builtin_abs(guess - (i32)corner);
  if (to_left <= to_above && to_left <= to_corner) return (u8)left;
  return (u8)(to_above <= to_corner ? above : corner);
}

/* What a filter expects of a byte; what lies outside the picture is 0. */
static inline u8 expected(u32 filter, const u8 *row, const u8 *above, u32 at, u32 pixel) {
  u32 left = at < pixel ? 0 : row[at - pixel], over = above ? above[at] : 0;
  switch (filter) {
    case LEFT: return (u8)left;
    case ABOVE: return (u8)over;
    case MEAN: return (u8)((left + over) / 2);
    case NEAREST: return nearest(left, over, above && at >= pixel ? above[at - pixel] : 0);
    default: return 0;
  }
}

#define ROWS(NAME, STORE)                                                                       \
  static inline void NAME(u32 filter, const u8 *pixels, const u8 *above, u8 *to, const u8 *from, \
                          u32 length, u32 pixel) {                                              \
    for (u32 i = 0; i < length; i++) STORE;                                                     \
  }

ROWS(undo_as, to[i] = (u8)(from[i] + expected(filter, pixels, above, i, pixel)))
ROWS(apply_as, to[i] = (u8)(from[i] - expected(filter, pixels, above, i, pixel)))

/* A loop for each filter, so that none asks in it which it is. */
#define BY_FILTER(NAME)                                                            \
  switch (filter) {                                                                \
    case LEFT: NAME(LEFT, pixels, above, to, from, length, pixel); break;          \
    case ABOVE: NAME(ABOVE, pixels, above, to, from, length, pixel); break;        \
    case MEAN: NAME(MEAN, pixels, above, to, from, length, pixel); break;          \
    case NEAREST: NAME(NEAREST, pixels, above, to, from, length, pixel); break;    \
    default: copy_bytes(to, from, length);                                         \
  }

static void undo(u32 filter, const u8 *above, u8 *to, const u8 *from, u32 length, u32 pixel) {
  const u8 *pixels = to;
  BY_FILTER(undo_as)
}

static void apply(u32 filter, const u8 *above, u8 *to, const u8 *from, u32 length, u32 pixel) {
  const u8 *pixels = from;
  BY_FILTER(apply_as)
}

static u32 rows_in(u64 total, u32 row) { return (u32)((total + row) / ((u64)row + 1)); }

static u32 forward(Call *call, u32 row, u32 pixel) {
  if (call->n_in != 1 || call->n_out != SPLIT) return CALL_SHAPE;
  u32 total = call->in[0].len, rows = rows_in(total, row);
  if (call->bound) {
    call->out[FILTERS].cap = rows;
    call->out[PIXELS].cap = total - rows;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[FILTERS].cap < rows || call->out[PIXELS].cap < total - rows) return CAPACITY;
  const u8 *from = in_at(call, 0), *above = 0;
  u8 *filters = out_at(call, FILTERS), *to = out_at(call, PIXELS);
  for (u32 left = total - rows, i = 0; i < rows; i++) {
    u32 length = left < row ? left : row;
    filters[i] = *from++;
    undo(filters[i], above, to, from, length, pixel);
    above = to;
    from += length;
    to += length;
    left -= length;
  }
  call->out[FILTERS].len = rows;
  call->out[PIXELS].len = total - rows;
  return DONE;
}

static u32 inverse(Call *call, u32 row, u32 pixel) {
  if (call->n_in != SPLIT || call->n_out != 1) return CALL_SHAPE;
  u32 rows = call->in[FILTERS].len, left = call->in[PIXELS].len;
  u64 total = (u64)rows + left;
  if (total > 0xffffffffu || rows != rows_in(total, row)) return MALFORMED;
  if (call->bound) {
    call->out[0].cap = (u32)total;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[0].cap < total) return CAPACITY;
  const u8 *filters = in_at(call, FILTERS), *from = in_at(call, PIXELS), *above = 0;
  u8 *to = out_at(call, 0);
  for (u32 i = 0; i < rows; i++) {
    u32 length = left < row ? left : row;
    *to++ = filters[i];
    apply(filters[i], above, to, from, length, pixel);
    above = from;
    from += length;
    to += length;
    left -= length;
  }
  call->out[0].len = (u32)total;
  return DONE;
}

static u32 work(Call *call) {
  u32 row, pixel;
  if (!take_uint(call, 1, 1 << 30, &row) || !take_uint(call, 1, 8, &pixel) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  return call->inverse ? inverse(call, row, pixel) : forward(call, row, pixel);
}
