/* The contexts of the next byte. */
#ifndef CONTEXT_MIX_CONTEXTS_H
#define CONTEXT_MIX_CONTEXTS_H

static inline u32 shown(const Model *m, u32 at, u32 end) { return at < end ? m->data[at] : 0; }

/* The byte at the same place in the same field of the line before, and the next one, or 0. */
static inline u32 field_above(const Model *m, u32 in_field) {
  const Text *t = &m->text;
  if (t->fields_before == 0 || t->field > t->fields_before) return 0;
  const u32 *starts = t->starts[!t->odd];
  u32 from = starts[t->field] + in_field;
  u32 end = t->field < t->fields_before ? starts[t->field + 1] : t->line;
  return shown(m, from, end) << 8 | shown(m, from + 1, end);
}

static void set_contexts(Model *m) {
  const Text *t = &m->text;
  u32 last4 = m->last4, last8 = m->last8, previous = last4 & 255;
  u32 column = m->at - t->line;
  u32 above = shown(m, t->line_before + column, t->line);
  u32 in_field = m->at - t->starts[t->odd][t->field];
  u32 in_line_before = field_above(m, in_field);
  u32 parent = t->depth ? t->keys[t->depth - 1] : 0;
  u32 made[CONTEXTS] = {
      hash(0, last4 & 0xffff),
      hash(1, last4 & 0xffffff),
      hash(2, last4),
      hash(hash(3, last4), last8 & 0xffff),
      hash(hash(4, t->word), previous),
      hash(hash(5, t->word), t->word_before),
      hash(hash(6, t->field), t->field_hash),
      hash(hash(7, t->field), in_line_before << 8 | previous),
      hash(hash(8, above | previous << 8), column < 255 ? column : 255),
      hash(hash(9, t->shape), t->depth),
      hash(hash(10, parent), hash(t->word, in_field ? previous : t->key)),
      hash(hash(11, t->field_before), above << 16 | in_line_before),
  };
  for (u32 i = 0; i < CONTEXTS; i++) m->context[i] = made[i];
}

#endif
