/* For the next bit: what each context, the longest match and the bits so far predict; then learning. */
#ifndef CONTEXT_MIX_PREDICT_H
#define CONTEXT_MIX_PREDICT_H

enum { SLOT_HALF = 0x8000, PACE = 6, MATCH_LANE = 14, NODE_LANE = 15 };

/* The bucket of a context: of three neighbours the one that has it, or else the one that remembers
 * least, emptied. */
static inline u8 *find_bucket(Model *m, u32 name) {
  u8 check = (u8)name;
  u32 first = (name >> (32 - m->bucket_bits)) * HISTORY_BYTES;
  u8 *least = 0;
  for (u32 i = 0; i < 3; i++) {
    u8 *one = m->table + (first ^ i * HISTORY_BYTES);
    if (one[0] == check) return one;
    if (!least || m->histories.weight[one[1]] < m->histories.weight[least[1]]) least = one;
  }
  *(Shorts *)least = (Shorts){check};
  return least;
}

/* The inputs of the mixer: what each context, the match and the bits so far say, stretched and as it
 * is, and a constant. `place` is the node of half a byte. */
static inline void set_inputs(Model *m, u32 place) {
  const i16 *stretch = m->tables.stretch;
  i16 *stretched = (i16 *)m->mixer.inputs;
  u16 *said = m->said.of;
  for (u32 i = 0; i < CONTEXTS; i++) said[i] = m->of_history[i][m->bucket[i][place]];
  said[CONTEXTS] = said[CONTEXTS + 1] = SLOT_HALF;
  said[MATCH_LANE] = m->match.said ? (u16)probability(*m->match.said, 16) : SLOT_HALF;
  said[NODE_LANE] = (u16)probability(m->of_node[m->node], 16);
  for (u32 i = 0; i < 16; i++) stretched[i] = stretch[said[i] >> 4];
  for (u32 i = 0; i < 2; i++) m->mixer.inputs[2 + i] = (Shorts)(m->said.whole[i] >> 5) - 1024;
  m->mixer.inputs[3][7] = 256;
}

/* The probability, in 65536ths, that the next bit is a one. */
static inline u32 predict(Model *m, u32 bits, u32 place) {
  expect(&m->match, m->data, m->node, bits);
  set_inputs(m, place);
  u32 previous = m->last4 & 255;
  m->mixer.picked[0] = confidence(&m->match) * 256 + m->node;
  m->mixer.picked[1] = previous * 8 + bits;
  m->mixer.picked[2] = (m->text.shape & 255) * 8 + bits;
  m->mixer.last_picked = m->node;
  i32 mixed = mix(&m->mixer, &m->tables);
  u32 line = hash(m->last4 & 0xffff, m->node) >> 22;
  return refine(&m->refiner, mixed, m->mixer.mixed, line);
}

/* Learn which bit it was. */
static inline void update(Model *m, u32 place, u32 bit) {
  for (u32 i = 0; i < 2; i++) {
    /* Counted from the other end for a one, so that both ends are come near alike. */
    Slots end = (Slots){0} - (u16)bit, away = m->said.whole[i] ^ end;
    m->said.whole[i] = (away - (away >> PACE)) ^ end;
  }
  for (u32 i = 0; i < CONTEXTS; i++) {
    u8 *history = m->bucket[i] + place;
    m->of_history[i][*history] = m->said.of[i];
    *history = m->histories.next[*history][bit];
  }
  if (m->match.said) adapt(m->match.said, bit, 1023, &m->tables);
  adapt(&m->of_node[m->node], bit, 30, &m->tables);
  teach(&m->mixer, bit, &m->tables);
  refined(&m->refiner, bit);
}

#endif
