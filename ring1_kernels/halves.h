/* A byte in two halves: contexts are looked up for each of them, and four bits follow.
 *
 * Before this file a kernel defines `Model` with `coder`, `context`, `bucket` and `node`, the bits of
 * the byte so far behind a one; `set_contexts` and `find_bucket`; `predict`, the probability of the
 * next bit; and `update`, which learns it. */
#ifndef REDOXA_HALVES_H
#define REDOXA_HALVES_H

/* Four bits, the first of which is number `bits` of the byte; `place` is the node among them. */
static inline void code_half(Model *m, u32 byte, u32 bits) {
  u32 place = 1;
  for (u32 end = bits + 4; bits < end; bits++) {
    u32 p = predict(m, bits, place);
    u32 bit = code(&m->coder, p, byte >> (7 - bits) & 1);
    update(m, place, bit);
    place = place << 1 | bit;
    m->node = m->node << 1 | bit;
  }
}

/* One byte, given when encoding, returned when decoding. */
static u32 code_byte(Model *m, u32 byte) {
  set_contexts(m);
  for (u32 i = 0; i < CONTEXTS; i++) m->bucket[i] = find_bucket(m, m->context[i]);
  m->node = 1;
  code_half(m, byte, 0);
  for (u32 i = 0; i < CONTEXTS; i++) m->bucket[i] = find_bucket(m, hash(m->context[i], m->node));
  code_half(m, byte, 4);
  return m->node & 255;
}

#endif
