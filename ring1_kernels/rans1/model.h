/* Which contexts share a table: the encoder's choice, by what it costs. */
#ifndef RANS1_MODEL_H
#define RANS1_MODEL_H

#include "writer.h"

/* What one more class costs, and one more symbol in it, until its table is made. */
enum { CLASS_BITS = 64, SYMBOL_BITS = 5, CHANGE_BITS = 6 };

/* Counts that are looked up. */
enum { FEW = 256 };

/* How the lanes of a block are told apart. */
typedef struct {
  u32 kind, classes;
  Levels levels;
  u8 class_of[CONTEXTS];
} Model;

/* Something of every token of a class. */
typedef u32 Wide[256];
typedef Eight Narrow[256 / 8];

typedef struct {
  u32 tokens, lag, most_classes;
  u32 first, span, steps;        /* the block at hand, in lanes */
  const u8 *in_line;             /* the tokens of everything */
  Sixteen *by_step, *contexts;   /* of the block at hand */
  u32 *counts;                   /* of every token in every context */
  Eight *shares;                 /* the same, halved until they add up to 2^15 at most */
  u32 total[CONTEXTS], halved[CONTEXTS];
  Cost own[CONTEXTS], least[CONTEXTS];
  Wide *members;                 /* how often tokens occur in a class */
  Narrow *lengths;               /* what they cost there */
  Wide *ranges;                  /* first slot << 16 | number of slots */
  Cost entropy[MAX_CLASSES];
  Cost content[FEW];             /* of small counts, each times its logarithm */
} Modeller;

/* Bring the tokens of a block into steps. What fills the last segments is like what came before. */
static void arrange(Modeller *modeller, u32 first, u32 span) {
  if (modeller->first == first && modeller->span == span) return;
  const u32 steps = steps_of(span);
  const u8 *tokens = modeller->in_line + first;
  u8 *by_step = (u8 *)modeller->by_step;
  modeller->first = first, modeller->span = span, modeller->steps = steps;
  for (u32 j = 0; j < STATES; j++) {
    u32 begin = j * steps, count = begin >= span ? 0 : span - begin;
    if (count > steps) count = steps;
    for (u32 i = 0; i < count; i++) by_step[i * STATES + j] = tokens[begin + i];
    u8 last = count == 0 ? 0 : tokens[begin + count - 1];
    for (u32 i = count; i < steps; i++) by_step[i * STATES + j] = last;
  }
}

/* Levels that occur about equally often. */
static void set_levels(Modeller *modeller, Model *model) {
  u32 counts[UNITS] = {0}, below = 0;
  const u8 *tokens = (const u8 *)modeller->by_step;
  u32 total = modeller->steps * STATES, high = 0;
  for (u32 i = 0; i < total; i++) counts[unit_of(tokens[i])]++;
  u8 *level = (u8 *)&model->levels;
  for (u32 i = 0; i < sizeof(Levels); i++) level[i] = 0;
  for (u32 unit = 0; unit < UNITS; unit++) {
    u32 due = below * 16 / total;
    if (unit > 0 && due > high && high < 15) high++;
    level[unit] = (u8)high;
    below += counts[unit];
  }
}

/* What all lanes of a block are told apart by. */
static void set_contexts(Modeller *modeller, const Model *model) {
  Averages averages = {{0}, {0}};
  modeller->contexts[0] = (Sixteen){0};
  for (u32 i = 0; i + 1 < modeller->steps; i++)
    modeller->contexts[i + 1] = contexts_after(modeller->by_step, i, model->kind, modeller->lag,
                                               &model->levels, false, &averages);
}

static void count_tokens(Modeller *modeller, u32 contexts) {
  const u32 tokens = modeller->tokens, total = modeller->steps * STATES;
  const u8 *token = (const u8 *)modeller->by_step, *context = (const u8 *)modeller->contexts;
  u32 *counts = modeller->counts;
  for (u32 i = 0; i < contexts * tokens; i++) counts[i] = 0;
  for (u32 i = 0; i < total; i++) counts[context[i] * tokens + token[i]]++;
}

/* A count times its logarithm. */
static inline Cost content(const Modeller *modeller, u32 count) {
  return count < FEW ? modeller->content[count] : (Cost)count * log_of(count);
}

/* What so many of so many symbols cost at their own entropy, whose contents add up to that, with a
 * guess at their table. */
static inline Cost entropy_from(const Modeller *modeller, u32 total, u32 distinct, Cost contents) {
  return content(modeller, total) - contents + BITS(CLASS_BITS + SYMBOL_BITS * distinct);
}

static Cost entropy_of(const Modeller *modeller, const u32 *counts, u32 *total) {
  u32 distinct = 0, sum = 0;
  Cost contents = 0;
  for (u32 s = 0; s < modeller->tokens; s++) {
    if (counts[s] == 0) continue;
    sum += counts[s];
    distinct++;
    contents += content(modeller, counts[s]);
  }
  *total = sum;
  return sum == 0 ? 0 : entropy_from(modeller, sum, distinct, contents);
}

/* The same of two classes taken as one. */
static Cost entropy_of_both(const Modeller *modeller, const u32 *counts, const u32 *more) {
  u32 distinct = 0, sum = 0;
  Cost contents = 0;
  for (u32 s = 0; s < modeller->tokens; s++) {
    u32 count = counts[s] + more[s];
    if (count == 0) continue;
    sum += count;
    distinct++;
    contents += content(modeller, count);
  }
  return entropy_from(modeller, sum, distinct, contents);
}

/* Tokens in vectors of eight. */
static inline u32 vectors_of(u32 tokens) { return (tokens + 7) / 8; }

static void set_shares(Modeller *modeller, u32 contexts) {
  const u32 tokens = modeller->tokens, vectors = vectors_of(tokens);
  for (u32 c = 0; c < contexts; c++) {
    const u32 *counts = modeller->counts + c * tokens;
    u32 total, halved = 0;
    modeller->own[c] = entropy_of(modeller, counts, &total);
    modeller->total[c] = total;
    if (total == 0) continue;
    while (total >> halved >= 1 << 15) halved++;
    int16_t *shares = (int16_t *)(modeller->shares + c * vectors);
    for (u32 s = 0; s < tokens; s++) shares[s] = (int16_t)(counts[s] >> halved);
    for (u32 s = tokens; s < 8 * vectors; s++) shares[s] = 0;
    modeller->halved[c] = halved;
  }
}

/* What tokens cost in a class; those that it has not yet, a little more than any. */
static void set_lengths(Modeller *modeller, u32 class) {
  const u32 *counts = modeller->members[class], tokens = modeller->tokens;
  int16_t *lengths = (int16_t *)modeller->lengths[class];
  u32 total = 0;
  for (u32 s = 0; s < tokens; s++) total += counts[s];
  u32 whole = log_of(8 * total + tokens);
  for (u32 s = 0; s < tokens; s++)
    lengths[s] = (int16_t)(whole - (counts[s] == 0 ? 0 : log_of(8 * counts[s] + 1)));
}

/* The products of lanes, those of neighbours added up. */
static inline Four products(Eight a, Eight b) {
#ifdef __wasm__
  return (Four)__builtin_wasm_dot_s_i32x4_i16x8(a, b);
#else
  Four sums;
  for (u32 i = 0; i < 4; i++) sums[i] = (u32)(a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1]);
  return sums;
#endif
}

static Cost cost_in(const Modeller *modeller, u32 context, u32 class) {
  const u32 vectors = vectors_of(modeller->tokens);
  const Eight *lengths = modeller->lengths[class], *shares = modeller->shares + context * vectors;
  Four sums = {0};
  for (u32 i = 0; i < vectors; i++) sums += products(shares[i], lengths[i]);
  return (Cost)(sums[0] + sums[1] + sums[2] + sums[3]) << modeller->halved[context];
}

static void gather(Modeller *modeller, const Model *model, u32 contexts, u32 classes) {
  const u32 tokens = modeller->tokens;
  for (u32 k = 0; k < classes; k++)
    for (u32 s = 0; s < tokens; s++) modeller->members[k][s] = 0;
  for (u32 c = 0; c < contexts; c++) {
    if (modeller->total[c] == 0) continue;
    const u32 *counts = modeller->counts + c * tokens;
    u32 *members = modeller->members[model->class_of[c]];
    for (u32 s = 0; s < tokens; s++) members[s] += counts[s];
  }
}

/* The first class is everything; each further one begins with the context that has most to gain. */
static u32 sow(Modeller *modeller, Model *model, u32 contexts) {
  const u32 tokens = modeller->tokens;
  /* Reading more tables than that takes longer than reading the lanes. */
  u32 enough = modeller->span >> 10, most_classes = modeller->most_classes;
  if (enough < most_classes) most_classes = enough == 0 ? 1 : enough;
  for (u32 c = 0; c < contexts; c++) {
    modeller->least[c] = modeller->total[c] == 0 ? 0 : ~(Cost)0;
    model->class_of[c] = 0;
  }
  gather(modeller, model, contexts, 1);
  for (u32 classes = 1;; classes++) {
    u32 added = classes - 1, next = 0;
    set_lengths(modeller, added);
    Cost most = 0;
    for (u32 c = 0; c < contexts; c++) {
      /* Where a context costs no more than a class of its own would, it looks no further. */
      if (modeller->least[c] <= modeller->own[c]) continue;
      Cost cost = cost_in(modeller, c, added), own = modeller->own[c];
      if (cost < modeller->least[c]) modeller->least[c] = cost, model->class_of[c] = (u8)added;
      if (modeller->least[c] > own + most) most = modeller->least[c] - own, next = c;
    }
    if (most == 0 || classes == most_classes) return classes;
    for (u32 s = 0; s < tokens; s++)
      modeller->members[classes][s] = modeller->counts[next * tokens + s];
  }
}

/* Every context goes to the class where it costs least. */
static void settle(Modeller *modeller, Model *model, u32 contexts, u32 classes) {
  for (u32 k = 0; k < classes; k++) set_lengths(modeller, k);
  for (u32 c = 0; c < contexts; c++) {
    if (modeller->total[c] == 0) continue;
    Cost least = ~(Cost)0;
    for (u32 k = 0; k < classes; k++) {
      Cost cost = cost_in(modeller, c, k);
      if (cost < least) least = cost, model->class_of[c] = (u8)k;
    }
  }
}

/* Classes whose tables cost more than they save become one; which class each goes to. */
static void merge(Modeller *modeller, u32 classes, u8 *into) {
  const u32 tokens = modeller->tokens;
  Wide *members = modeller->members;
  Cost *entropy = modeller->entropy;
  for (u32 a = 1; a < classes; a++) {
    for (;;) {
      u32 best = a;
      Cost most = 0, joined_best = 0;
      for (u32 b = 0; b < a; b++) {
        if (into[b] != b || entropy[b] == 0) continue;
        Cost joined = entropy_of_both(modeller, members[a], members[b]);
        Cost apart = entropy[a] + entropy[b];
        if (apart > joined && apart - joined > most)
          most = apart - joined, best = b, joined_best = joined;
      }
      if (best == a || entropy[a] == 0) break;
      for (u32 s = 0; s < tokens; s++) members[a][s] += members[best][s];
      entropy[a] = joined_best;
      entropy[best] = 0;
      for (u32 k = 0; k <= a; k++)
        if (into[k] == best) into[k] = (u8)a;
    }
  }
}

/* Classes are numbered as they appear, contexts that do not occur are like those before; what all
 * of it will cost. */
static Cost number(Modeller *modeller, Model *model, u32 contexts) {
  u8 names[MAX_CLASSES];
  for (u32 k = 0; k < MAX_CLASSES; k++) names[k] = 0xff;
  u32 before = 0, changes = 0;
  model->classes = 0;
  Cost cost = 0;
  for (u32 c = 0; c < contexts; c++) {
    if (modeller->total[c] == 0) {
      model->class_of[c] = (u8)before;
      continue;
    }
    u32 old = model->class_of[c];
    if (names[old] == 0xff) names[old] = (u8)model->classes++, cost += modeller->entropy[old];
    changes += names[old] != before;
    before = names[old];
    model->class_of[c] = (u8)before;
  }
  if (model->classes == 0) model->classes = 1;
  return cost + BITS(CHANGE_BITS * changes);
}

/* Classes of one kind of contexts for a block, and what the block will cost. With `rounds` they are
 * worked out further, for the stream and not only for the comparison of kinds and blocks. */
static Cost fit(Modeller *modeller, Model *model, u32 kind, u32 width, u32 rounds) {
  u32 contexts = contexts_of(kind, width);
  u32 total;
  u8 into[MAX_CLASSES];
  model->kind = kind;
  if (kind >= AVERAGE) set_levels(modeller, model);
  set_contexts(modeller, model);
  count_tokens(modeller, contexts);
  set_shares(modeller, contexts);
  u32 classes = sow(modeller, model, contexts);
  for (u32 i = 0; i < rounds && classes > 1; i++) {
    gather(modeller, model, contexts, classes);
    settle(modeller, model, contexts, classes);
  }
  gather(modeller, model, contexts, classes);
  for (u32 k = 0; k < classes; k++) {
    into[k] = (u8)k;
    modeller->entropy[k] = entropy_of(modeller, modeller->members[k], &total);
  }
  if (rounds > 0) merge(modeller, classes, into);
  for (u32 c = 0; c < contexts; c++) model->class_of[c] = into[model->class_of[c]];
  return number(modeller, model, contexts);
}

#endif
