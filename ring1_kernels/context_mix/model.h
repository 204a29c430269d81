/* All that is known while coding: tables, the place in the data, and what was learned. */
#ifndef CONTEXT_MIX_MODEL_H
#define CONTEXT_MIX_MODEL_H

typedef struct { u8 none; } Settings;     /* no parameters */

enum {
  HISTORY_BYTES = 16,                     /* a check byte and the histories of 15 nodes of a nibble */
  LEAST_BUCKET_BITS = 8,
  MOST_BUCKET_BITS = 20,
  FLAGS = 3,
  FLAG_MISSES = 64
};

typedef u16 Slots __attribute__((vector_size(16)));

typedef struct {
  Mixer mixer;
  Refiner refiner;
  Match match;
  Coder coder;
  Tables tables;
  Histories histories;

  const u8 *data;                         /* all that was coded so far */
  u32 at;                                 /* how many bytes that is */
  u32 last4, last8;                       /* the last four bytes, and the four before */
  u32 node;                               /* the bits of this byte so far, after a leading 1 */
  Text text;

  u32 bucket_bits;
  u8 *table;
  u32 context[CONTEXTS];
  u8 *bucket[CONTEXTS];
  u16 of_history[CONTEXTS][STATES];       /* the probability of a one after a history, in 65536ths */
  union {
    u16 of[16];
    Slots whole[2];
  } said;                                 /* that of each context for the bit that is coded now */
  Adaptive of_node[256];

  u32 flag_bits;
  Adaptive *flag[FLAGS];                  /* by contexts of the place and the byte */
  Adaptive flag_length[STEPS][FLAG_MISSES];
  i32 flag_weights[STEPS][FLAGS + 1];     /* 1 is 65536; the last one is of flag_length */
  u32 flag_misses;                        /* a bit for each flag, the last one lowest */
} Model;

/* Enough buckets for many contexts, and not more than caches can bear. */
static u32 bucket_bits(u32 n) {
  u32 bits = LEAST_BUCKET_BITS;
  while (bits < MOST_BUCKET_BITS && 1u << bits < 4 * n) bits++;
  return bits;
}

static inline u32 flag_bits(u32 n) { return match_bits(n) - 2; }

/* The model, room to begin the table where a line of a cache does, the table, places and flags. */
static u32 model_bytes(u32 n) {
  u32 flags = FLAGS * (u32)sizeof(Adaptive) << flag_bits(n);
  return (u32)sizeof(Model) + 64 + (HISTORY_BYTES << bucket_bits(n)) + match_bytes(n) + flags;
}

static void fill_histories_of(Model *m) {
  fill_histories(&m->histories);
  for (u32 state = 0; state < STATES; state++) {
    History h = m->histories.of[state];
    u32 p = (2 * h.ones + 1u) * 65535 / (2 * h.zeros + 2 * h.ones + 2u);
    for (u32 i = 0; i < CONTEXTS; i++) m->of_history[i][state] = (u16)p;
  }
}

static void fill_flags(Model *m, u32 n, Adaptive *table) {
  m->flag_bits = flag_bits(n);
  for (u32 f = 0; f < FLAGS; f++) {
    m->flag[f] = table + (f << m->flag_bits);
    for (u32 i = 0; i < 1u << m->flag_bits; i++) m->flag[f][i] = adaptive(64512);
  }
  for (u32 step = 0; step < STEPS; step++) {
    for (u32 i = 0; i < FLAG_MISSES; i++) m->flag_length[step][i] = adaptive(64512);
    for (u32 f = 0; f <= FLAGS; f++) m->flag_weights[step][f] = 26214;
  }
}

static Model *make_model(Call *call, const Settings *none, u32 n) {
  (void)none;
  Model *m = AT(Model, call->scratch->ptr);
  m->coder.high = 0xffffffff;
  m->bucket_bits = bucket_bits(n);
  m->table = (u8 *)(((uintptr_t)(m + 1) + 63) & ~(uintptr_t)63);
  u8 *places = m->table + (HISTORY_BYTES << m->bucket_bits);
  fill_match(&m->match, n, (u32 *)places);
  fill_flags(m, n, (Adaptive *)(places + match_bytes(n)));
  fill_tables(&m->tables);
  fill_histories_of(m);
  for (u32 i = 0; i < 256; i++) m->of_node[i] = adaptive(32768);
  const Shorts first[VECTORS] = {everywhere(5000), {5000, 5000, 5000, 5000, 0, 0, 5000, 0}};
  fill_mixer(&m->mixer, first);
  fill_refiner(&m->refiner, &m->tables);
  return m;
}

static void advance(Model *m, u32 byte) {
  m->at++;
  m->last8 = m->last8 << 8 | m->last4 >> 24;
  m->last4 = m->last4 << 8 | byte;
  read_text(&m->text, byte, m->at);
  find_match(&m->match, m->data, m->at);
}

#endif
