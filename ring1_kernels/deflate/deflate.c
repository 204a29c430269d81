/* deflate: streams of RFC 1951 inside other bytes, made again as zlib or gzip made them. See spec.md.
 */
#include "../abi.h"
#include "inflate.h"
#include "match.h"
#include "trying.h"

enum { PLAIN, GAPS, SPANS, PORTS, SPAN_WORDS = 3 };

/* ---- forward ---- */

static u32 forward(Call *call) {
  if (call->n_in != 1 || call->n_out != PORTS) return CALL_SHAPE;
  const u8 *in = in_at(call, 0);
  u32 length = call->in[0].len;
  Stream stream;
  if (!inflate(in, length, 0, &stream)) stream = (Stream){};
  u32 need[PORTS] = {stream.length, length, stream.used ? 4 * SPAN_WORDS : 0};
  u32 scratch = stream.used ? sizeof(Room) + stream.used + ROOM_AFTER : 0;
  for (u32 i = 0; i < PORTS; i++) {
    if (call->bound) call->out[i].cap = need[i];
    if (call->out[i].cap < need[i]) return CAPACITY;
  }
  if (call->bound) {
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->scratch->len < scratch) return SCRATCH;
  u8 *plain = out_at(call, PLAIN), *gaps = out_at(call, GAPS);
  u32 *spans = out_at(call, SPANS);
  Setting setting;
  if (stream.used && inflate(in, length, plain, &stream) &&
      find_setting(AT(Room, call->scratch->ptr), in, plain, &stream, &setting)) {
    spans[0] = 0;
    spans[1] = stream.length;
    spans[2] = packed(&setting);
  } else {
    stream = (Stream){};
  }
  copy_bytes(gaps, in + stream.used, length - stream.used);
  call->out[PLAIN].len = stream.length;
  call->out[GAPS].len = length - stream.used;
  call->out[SPANS].len = stream.used ? 4 * SPAN_WORDS : 0;
  return DONE;
}

/* ---- inverse ---- */

/* Whether the spans are of these gaps and this plain text; then `room` is how long all may become. */
static bool survey(const Call *call, u64 *room) {
  const u32 *spans = in_at(call, SPANS);
  u32 plain = call->in[PLAIN].len, gaps = call->in[GAPS].len, size = call->in[SPANS].len;
  *room = gaps;
  if (size % (4 * SPAN_WORDS)) return false;
  for (u32 i = 0; i < size / 4; i += SPAN_WORDS) {
    Setting setting;
    if (spans[i] > gaps || spans[i + 1] > plain || !unpack(spans[i + 2], &setting)) return false;
    gaps -= spans[i];
    plain -= spans[i + 1];
    *room += room_for(spans[i + 1]);
  }
  return plain == 0;
}

static u32 inverse(Call *call) {
  if (call->n_in != PORTS || call->n_out != 1) return CALL_SHAPE;
  u64 room;
  if (!survey(call, &room) || room > 0xffffffffu) return MALFORMED;
  const u32 *spans = in_at(call, SPANS);
  u32 words = call->in[SPANS].len / 4, scratch = words ? sizeof(Room) : 0;
  if (call->bound) {
    call->out[0].cap = (u32)room;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < room) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  const u8 *gaps = in_at(call, GAPS), *end = gaps + call->in[GAPS].len;
  u8 *out = out_at(call, 0);
  Maker m = {.room = AT(Room, call->scratch->ptr), .plain = in_at(call, PLAIN)};
  m.to = (Writer){out, out + call->out[0].cap, 0, 0};
  for (u32 i = 0; i < words; i += SPAN_WORDS) {
    copy_bytes(m.to.at, gaps, spans[i]);
    m.to.at += spans[i];
    gaps += spans[i];
    unpack(spans[i + 2], &m.setting);
    make(&m, spans[i + 1]);
    if (m.failed) return MALFORMED;
  }
  copy_bytes(m.to.at, gaps, (u32)(end - gaps));
  call->out[0].len = (u32)(m.to.at - out) + (u32)(end - gaps);
  return DONE;
}

static u32 work(Call *call) {
  if (!no_more_parameters(call)) return BAD_PARAMETER;
  return call->inverse ? inverse(call) : forward(call);
}
