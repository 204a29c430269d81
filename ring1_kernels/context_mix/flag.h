/* A whole byte at once: where a long match has proved reliable, one bit says that it goes on. */
#ifndef CONTEXT_MIX_FLAG_H
#define CONTEXT_MIX_FLAG_H

/* From this length on a byte may be coded at once, and is where it is as likely as this, of 65536. */
enum { RELIABLE_MATCH = 16, SURE = 64800 };

typedef struct {
  Adaptive *said[FLAGS + 1];
  i32 stretched[FLAGS + 1];
  i32 *weights;
  u32 mixed, probability;
} Flag;

static Flag weigh_match(Model *m) {
  u32 next = m->data[m->match.at], step = length_step(m->match.length);
  u32 place = hash(m->text.field, m->text.field_hash);
  u32 name[FLAGS] = {
      hash(m->last4 & 255, next),
      hash(hash(place, next), 2),
      hash(m->last4 & 0xffffff, next),
  };
  Flag flag = {.weights = m->flag_weights[step]};
  for (u32 f = 0; f < FLAGS; f++) flag.said[f] = &m->flag[f][name[f] >> (32 - m->flag_bits)];
  flag.said[FLAGS] = &m->flag_length[step][m->flag_misses & (FLAG_MISSES - 1)];
  i64 sum = 0;
  for (u32 f = 0; f <= FLAGS; f++) {
    flag.stretched[f] = m->tables.stretch[probability(*flag.said[f], 12)];
    sum += (i64)flag.stretched[f] * flag.weights[f];
  }
  flag.mixed = squash(&m->tables, limited((i32)(sum >> 16), STRETCH_LIMIT - 1));
  flag.probability = (3 * flag.mixed + probability(*flag.said[FLAGS], 16)) / 4;
  return flag;
}

static void learn_match(Model *m, const Flag *flag, u32 hit) {
  i32 error = ((hit ? 65535 : 0) - (i32)flag->mixed) / 16;
  for (u32 f = 0; f <= FLAGS; f++) {
    adapt(flag->said[f], hit, f == FLAGS ? 1023 : 255, &m->tables);
    flag->weights[f] += (flag->stretched[f] * error) >> 10;
  }
  m->flag_misses = m->flag_misses << 1 | !hit;
}

/* The byte at the model's place: given when encoding, returned when decoding. */
static u32 code_next(Model *m, u32 byte) {
  if (m->match.length < RELIABLE_MATCH) return code_byte(m, byte);
  u32 next = m->data[m->match.at];
  Flag flag = weigh_match(m);
  if (flag.probability < SURE) {
    byte = code_byte(m, byte);
    learn_match(m, &flag, byte == next);
    return byte;
  }
  u32 hit = code(&m->coder, flag.probability, byte == next);
  learn_match(m, &flag, hit);
  if (hit) return next;
  m->match.length = 0;
  return code_byte(m, byte);
}

#endif
