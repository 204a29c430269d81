/* lanes: a header, lanes of one width, and what is left at the end. See spec.md. */
#include "../abi.h"

enum { REST, ONES, PORTS = 5 };

static u32 forward(Call *call, u32 head, u32 size) {
  if (call->n_in != 1 || call->n_out != PORTS) return CALL_SHAPE;
  u32 total = call->in[0].len;
  if (head > total) head = total;
  u32 body = (total - head) >> size << size;
  u32 need[PORTS] = {[REST] = total - body};
  need[ONES + size] = body;
  for (u32 i = 0; i < PORTS; i++) {
    if (call->bound) call->out[i].cap = need[i];
    if (call->out[i].cap < need[i]) return CAPACITY;
    if (!call->bound) call->out[i].len = need[i];
  }
  if (call->bound) {
    call->scratch->len = 0;
    return DONE;
  }
  const u8 *from = in_at(call, 0);
  copy_bytes(out_at(call, REST), from, head);
  copy_bytes(out_at(call, ONES + size), from + head, body);
  copy_bytes((u8 *)out_at(call, REST) + head, from + head + body, total - head - body);
  return DONE;
}

static u32 inverse(Call *call, u32 head, u32 size) {
  if (call->n_in != PORTS || call->n_out != 1) return CALL_SHAPE;
  u32 rest = call->in[REST].len, body = call->in[ONES + size].len;
  for (u32 i = 0; i < PORTS - ONES; i++)
    if (i != size && call->in[ONES + i].len) return MALFORMED;
  u64 total = (u64)rest + body;
  if (body % (1u << size) || total > 0xffffffffu) return MALFORMED;
  /* There are no lanes before the header is whole, and less than one is left over. */
  if (rest < head ? body != 0 : rest - head >= 1u << size) return MALFORMED;
  if (head > rest) head = rest;
  if (call->bound) {
    call->out[0].cap = (u32)total;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[0].cap < total) return CAPACITY;
  const u8 *from = in_at(call, REST);
  u8 *to = out_at(call, 0);
  copy_bytes(to, from, head);
  copy_bytes(to + head, in_at(call, ONES + size), body);
  copy_bytes(to + head + body, from + head, rest - head);
  call->out[0].len = (u32)total;
  return DONE;
}

static u32 work(Call *call) {
  u32 head, size;
  if (!take_uint(call, 0, 1 << 30, &head) || !take_uint(call, 0, 3, &size) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  return call->inverse ? inverse(call, head, size) : forward(call, head, size);
}
