/* For the next bit: what each context and the longest match predict; then learning. */
#ifndef RECORD_MIX_PREDICT_H
#define RECORD_MIX_PREDICT_H

/* What the match says, and a constant. */
static inline Shorts other_inputs(const Model *m) {
  i32 stretched = 0, linear = 0;
  if (m->match.said) {
    u32 p = probability(*m->match.said, 12);
    stretched = m->tables.stretch[p];
    linear = (i32)p - 2048;
  }
  return (Shorts){(i16)stretched, (i16)linear, 256};
}

/* The probability, in 65536ths, that the next bit is a one; `place` is its node of half a byte. */
static inline u32 predict(Model *m, u32 bits, u32 place) {
  Slots slots;
  Shorts stretched;
  for (u32 i = 0; i < CONTEXTS; i++) {
    slots[i] = m->bucket[i]->slot[place] ^ SLOT_ZERO;
    stretched[i] = m->tables.stretch[slots[i] >> 4];
  }
  m->slots = slots;
  expect(&m->match, m->data, m->node, bits);
  m->mixer.inputs[0] = stretched;
  m->mixer.inputs[1] = (Shorts)(slots >> 4) - 2048;
  m->mixer.inputs[2] = other_inputs(m);
  u32 previous = m->last4 & 255;
  m->mixer.picked[0] = confidence(&m->match) * 256 + m->node;
  m->mixer.picked[1] = (m->phase & 255) * 8 + bits;
  m->mixer.picked[2] = previous * 8 + bits;
  m->mixer.last_picked = (m->phase & 7) * 256 + m->node;
  i32 mixed = mix(&m->mixer, &m->tables);
  u32 line = (m->phase & 3) * 256 + m->node;
  return refine(&m->refiner, mixed, m->mixer.mixed, line);
}

/* Learn which bit it was. */
static inline void update(Model *m, u32 place, u32 bit) {
  Slots slots = stepped(m->slots, bit) ^ SLOT_ZERO;
  for (u32 i = 0; i < CONTEXTS; i++) m->bucket[i]->slot[place] = slots[i];
  if (m->match.said) adapt(m->match.said, bit, 1023, &m->tables);
  teach(&m->mixer, bit, &m->tables);
  refined(&m->refiner, bit);
}

static inline Bucket *find_bucket(Model *m, u32 name) {
  return bucket_of(m->table, m->bucket_bits, name);
}

#endif
