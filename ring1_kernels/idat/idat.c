/* idat: what lies in the chunks IDAT of a PNG, whose sums are made again. See spec.md. */
#include "../abi.h"

enum { SIZES, DATA, REST, PARTS, HEAD = 8, SUM = 4 };

static const u8 TYPE[4] = {'I', 'D', 'A', 'T'};

static u32 read_big(const u8 *at) {
  return (u32)at[0] << 24 | (u32)at[1] << 16 | (u32)at[2] << 8 | at[3];
}

static void write_big(u8 *at, u32 value) {
  for (u32 i = 0; i < 4; i++) at[i] = (u8)(value >> (24 - 8 * i));
}

static void make_table(u32 *table) {
  for (u32 i = 0; i < 256; i++) {
    u32 value = i;
    for (u32 bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? 0xedb88320u : 0);
    table[i] = value;
  }
}

static u32 sum_of(const u32 *table, const u8 *at, u32 length) {
  u32 sum = 0xffffffffu;
  for (u32 i = 0; i < length; i++) sum = sum >> 8 ^ table[(sum ^ at[i]) & 0xff];
  return ~sum;
}

/* Whether a chunk of this type begins here that ends before the input does. */
static bool is_chunk(const u8 *at, const u8 *end, u32 *size) {
  if (end - at < HEAD + SUM) return false;
  *size = read_big(at);
  for (u32 i = 0; i < sizeof TYPE; i++)
    if (at[4 + i] != TYPE[i]) return false;
  return *size <= (u32)(end - at) - HEAD - SUM;
}

static u32 forward(Call *call) {
  if (call->n_in != 1 || call->n_out != PARTS) return CALL_SHAPE;
  const u8 *at = in_at(call, 0), *end = at + call->in[0].len;
  u32 count = 0, data = 0, size;
  for (const u8 *next = at; is_chunk(next, end, &size); next += HEAD + size + SUM, count++)
    data += size;
  u32 need[PARTS] = {4 * count, data, call->in[0].len};
  for (u32 i = 0; i < PARTS; i++) {
    if (call->bound) call->out[i].cap = need[i];
    if (call->out[i].cap < need[i]) return CAPACITY;
  }
  if (call->bound) {
    call->scratch->len = 0;
    return DONE;
  }
  u32 table[256], *sizes = out_at(call, SIZES);
  make_table(table);
  u8 *to = out_at(call, DATA);
  for (count = data = 0; is_chunk(at, end, &size); at += HEAD + size + SUM) {
    if (read_big(at + HEAD + size) != sum_of(table, at + 4, 4 + size)) break;
    copy_bytes(to + data, at + HEAD, size);
    data += size;
    sizes[count++] = size;
  }
  copy_bytes(out_at(call, REST), at, (u32)(end - at));
  call->out[SIZES].len = 4 * count;
  call->out[DATA].len = data;
  call->out[REST].len = (u32)(end - at);
  return DONE;
}

static u32 inverse(Call *call) {
  if (call->n_in != PARTS || call->n_out != 1) return CALL_SHAPE;
  const u32 *sizes = in_at(call, SIZES);
  u32 count = call->in[SIZES].len / 4, left = call->in[DATA].len, rest = call->in[REST].len;
  u64 total = (u64)count * (HEAD + SUM) + left + rest;
  if (call->in[SIZES].len % 4 || total > 0xffffffffu) return MALFORMED;
  for (u32 i = 0; i < count; left -= sizes[i++])
    if (sizes[i] > left) return MALFORMED;
  if (left) return MALFORMED;
  if (call->bound) {
    call->out[0].cap = (u32)total;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[0].cap < total) return CAPACITY;
  u32 table[256];
  make_table(table);
  const u8 *from = in_at(call, DATA);
  u8 *to = out_at(call, 0);
  for (u32 i = 0; i < count; i++) {
    write_big(to, sizes[i]);
    copy_bytes(to + 4, TYPE, sizeof TYPE);
    copy_bytes(to + HEAD, from, sizes[i]);
    write_big(to + HEAD + sizes[i], sum_of(table, to + 4, 4 + sizes[i]));
    from += sizes[i];
    to += HEAD + sizes[i] + SUM;
  }
  copy_bytes(to, in_at(call, REST), rest);
  call->out[0].len = (u32)total;
  return DONE;
}

static u32 work(Call *call) {
  if (!no_more_parameters(call)) return BAD_PARAMETER;
  return call->inverse ? inverse(call) : forward(call);
}
