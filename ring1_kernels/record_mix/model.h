/* All that is known while coding: tables, the place in the data, and what was learned. */
#ifndef RECORD_MIX_MODEL_H
#define RECORD_MIX_MODEL_H

typedef struct { u32 record, row; } Settings;

enum { FOLLOWERS = 1 << 16, LEAST_BUCKET_BITS = 8, MOST_BUCKET_BITS = 20 };

typedef struct {
  Mixer mixer;
  Refiner refiner;
  Match match;
  Coder coder;
  Tables tables;

  const u8 *data;                         /* all that was coded so far */
  u32 at;                                 /* how many bytes that is */
  u32 last4;                              /* the last four bytes, the last one lowest */
  Settings settings;
  u32 phase;                              /* the place in the record */
  u32 node;                               /* the bits of this byte so far, after a leading 1 */

  u32 bucket_bits;
  Bucket *table;
  u32 context[CONTEXTS];
  Bucket *bucket[CONTEXTS];
  Slots slots;                            /* of the bit that is coded now */

  u16 followers[FOLLOWERS];               /* the last two bytes behind two bytes at a place */
  u16 *follower;
} Model;

/* Enough buckets for many contexts; more would only be farther away. */
static u32 bucket_bits(u32 n) {
  u32 bits = LEAST_BUCKET_BITS;
  while (bits < MOST_BUCKET_BITS && 1u << bits < 4 * n) bits++;
  return bits;
}

/* The model, room to begin the table where a line of a cache does, the table, and the places. */
static u32 model_bytes(u32 n) {
  return (u32)sizeof(Model) + 64 + (BUCKET_BYTES << bucket_bits(n)) + match_bytes(n);
}

static Model *make_model(Call *call, const Settings *settings, u32 n) {
  Model *m = AT(Model, call->scratch->ptr);
  m->settings = *settings;
  m->coder.high = 0xffffffff;
  m->bucket_bits = bucket_bits(n);
  m->table = (Bucket *)(((uintptr_t)(m + 1) + 63) & ~(uintptr_t)63);
  fill_match(&m->match, n, (u32 *)(m->table + (1u << m->bucket_bits)));
  m->follower = m->followers;
  fill_tables(&m->tables);
  const Shorts first[VECTORS] = {everywhere(8000)};
  fill_mixer(&m->mixer, first);
  fill_refiner(&m->refiner, &m->tables);
  return m;
}

/* The byte that stands so far back; 0 before the beginning. */
static inline u32 back(const Model *m, u32 distance) {
  return distance <= m->at ? m->data[m->at - distance] : 0;
}

static inline u32 clamped(i32 value) { return value < 0 ? 0 : value > 255 ? 255 : (u32)value; }

static void set_contexts(Model *m) {
  u32 record = m->settings.record;
  u32 row = m->settings.row ? m->settings.row : 2 * record;
  i32 west = (i32)back(m, record);
  i32 north = (i32)back(m, row), far_north = (i32)back(m, 2 * row);
  i32 north_west = (i32)back(m, row + record);
  i32 north_east = row > record ? (i32)back(m, row - record) : 0;
  u32 gradient = clamped(west + north - north_west);
  u32 column = clamped(2 * north - far_north);
  u32 one = back(m, 1), two = back(m, 2), three = back(m, 3);
  u32 made[CONTEXTS] = {
      (u32)west,
      two << 8 | one,
      (u32)west | one << 8,
      gradient | one << 8,
      three << 16 | two << 8 | one,
      (u32)(west + north_east) / 2 | column << 8,
      (u32)north,
      *m->follower | one << 16,
  };
  for (u32 i = 0; i < CONTEXTS; i++) m->context[i] = hash(made[i], CONTEXTS * m->phase + i);
}

static void advance(Model *m, u32 byte) {
  *m->follower = (u16)(*m->follower << 8 | byte);
  m->at++;
  m->last4 = m->last4 << 8 | byte;
  m->phase = m->phase + 1 < m->settings.record ? m->phase + 1 : 0;
  m->follower = &m->followers[hash(m->last4 & 0xffff, m->phase) >> 16];
  find_match(&m->match, m->data, m->at);
}

#endif
