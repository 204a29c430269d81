/* The stream: a mode, the length, and what the coder wrote; or the bytes as they are.
 *
 * Before this file a kernel defines `Settings`; `Model` with `coder`, `data` and `at`;
 * `model_bytes`, the scratch for n bytes; `make_model`, which fills it; `code_next`, which codes
 * the byte at the model's place, given or not; and `advance`, which moves on behind it. */
#ifndef REDOXA_MIXED_STREAM_H
#define REDOXA_MIXED_STREAM_H

/* No bit is cheaper than 65535 of 65536, so a byte of the stream stands for fewer bytes than this. */
enum { STORED = 0, MIXED = 1, LONGEST = 1 << 28, GAIN_BITS = 19 };

/* A damaged length would ask for much memory in vain, so that a byte behind it vouches for it. */
static inline u8 check_of(u32 n) { return (u8)(hash(n, 0) >> 24); }

static u32 write_length(u8 *to, u32 n) {
  u32 used = 0;
  for (; n >= 128; n >>= 7) to[used++] = (u8)(n | 128);
  to[used++] = (u8)n;
  return used;
}

/* The bytes that the length and its check take, or 0 where they break a rule. */
static u32 read_length(const u8 *from, u32 available, u32 *n) {
  u32 sum = 0;
  for (u32 used = 0; used < available && used < 5; used++) {
    sum |= (u32)(from[used] & 127) << (7 * used);
    if (from[used] & 128) continue;
    *n = sum;
    bool shortest = used == 0 || from[used] != 0;
    bool possible = sum >= 1 && sum <= LONGEST && sum >> GAIN_BITS <= available;
    used++;
    return shortest && possible && used < available && from[used] == check_of(sum) ? used + 1 : 0;
  }
  return 0;
}

/* The length of the stream, or 0 where it would have `room` bytes or more. */
static u32 write_mixed(Call *call, const Settings *settings, u32 n, u8 *out, u32 room) {
  u8 head[8] = {MIXED};
  u32 used = 1 + write_length(head + 1, n);
  head[used++] = check_of(n);
  if (used >= room) return 0;
  copy_bytes(out, head, used);
  Model *m = make_model(call, settings, n);
  m->data = in_at(call, 0);
  m->coder.to = out + used;
  m->coder.end = out + room - 1;
  while (m->at < n && !m->coder.full) advance(m, code_next(m, m->data[m->at]));
  finish(&m->coder);
  return m->coder.full ? 0 : (u32)(m->coder.to - out);
}

static u32 encode(Call *call, const Settings *settings) {
  u32 n = call->in[0].len;
  if (n > LONGEST) return OUTSIDE_DOMAIN;
  u32 most = n ? n + 1 : 0, scratch = n ? model_bytes(n) : 0;
  if (call->bound) {
    call->out[0].cap = most;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < most) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  u8 *out = out_at(call, 0);
  u32 written = n ? write_mixed(call, settings, n, out, n + 1) : 0;
  if (written == 0 && n > 0) {
    out[0] = STORED;
    copy_bytes(out + 1, in_at(call, 0), n);
    written = n + 1;
  }
  call->out[0].len = written;
  return DONE;
}

static u32 read_mixed(Call *call, const Settings *settings, u32 n, u32 used) {
  const u8 *in = in_at(call, 0);
  u8 *out = out_at(call, 0);
  Model *m = make_model(call, settings, n);
  m->data = out;
  m->coder.decoding = true;
  m->coder.from = in + used;
  m->coder.stop = in + call->in[0].len;
  for (u32 i = 0; i < 4; i++) feed(&m->coder);
  while (m->at < n) {
    u32 byte = code_next(m, 0);
    out[m->at] = (u8)byte;
    advance(m, byte);
    /* A stream that ended long ago would go on for as long as it claims. */
    if (m->coder.missing > 3) return MALFORMED;
  }
  return ended(&m->coder) ? DONE : MALFORMED;
}

static u32 decode(Call *call, const Settings *settings) {
  const u8 *in = in_at(call, 0);
  u32 length = call->in[0].len;
  u32 n = 0, used = 0;
  if (length > 0) {
    if (in[0] > MIXED || length < 2) return MALFORMED;
    if (in[0] == STORED) n = length - 1;
    else if ((used = read_length(in + 1, length - 1, &n)) == 0) return MALFORMED;
  }
  u32 scratch = used ? model_bytes(n) : 0;
  if (call->bound) {
    call->out[0].cap = n;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < n) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = n;
  if (used) return read_mixed(call, settings, n, 1 + used);
  if (n) copy_bytes(out_at(call, 0), in + 1, n);
  return DONE;
}

#endif
