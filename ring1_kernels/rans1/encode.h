/* The forward operation: tokens, where the blocks end, the words. */
#ifndef RANS1_ENCODE_H
#define RANS1_ENCODE_H

#include "model.h"

/* How often contexts look for a better class once a block is decided on. */
enum { ROUNDS = 2 };

typedef struct { u32 span, kind; } Block;

typedef struct {
  u32 width, lanes, n_blocks;
  const u8 *in;
  Block *blocks;
  Table *tables;               /* of the classes of the block at hand */
  Model model;
  Modeller modeller;
} Encoder;

/* A lane's token: itself below eight, else its length and the two bits after its first. */
static inline u32 token_of(u64 value) {
  if (value < 8) return (u32)value;
  u32 low = 61 - (u32)__builtin_clzll(value);
  return 4 * low + (u32)(value >> low);
}

static u64 lane_at(const Encoder *encoder, u32 i) {
  switch (encoder->width) {
    case 1: return encoder->in[i];
    case 2: return ((const u16 *)encoder->in)[i];
    case 4: return ((const u32 *)encoder->in)[i];
    default: return ((const u64 *)encoder->in)[i];
  }
}

static Cost fit_stretch(Encoder *encoder, u32 first, u32 span, u32 kind, u32 rounds) {
  arrange(&encoder->modeller, first, span);
  return fit(&encoder->modeller, &encoder->model, kind, encoder->width, rounds);
}

/* The cheapest kind of contexts for a stretch as one block, and what that costs. */
static Cost best_kind(Encoder *encoder, u32 first, u32 span, u32 *best) {
  Cost least = ~(Cost)0;
  u32 lag = encoder->modeller.lag, last = lag == 0 || lag >= steps_of(span) ? AVERAGE : BACK;
  for (u32 kind = NOTHING; kind <= last; kind++) {
    Cost cost = fit_stretch(encoder, first, span, kind, 0);
    if (cost < least) least = cost, *best = kind;
  }
  return least;
}

static void add_block(Encoder *encoder, u32 span, u32 kind) {
  encoder->blocks[encoder->n_blocks++] = (Block){.span = span, .kind = kind};
}

/* The blocks of up to 2^level atoms: one where it costs less than those of its halves. */
static Cost plan(Encoder *encoder, u32 first, u32 span, u32 level) {
  u32 half = ATOM << level >> 1, begin = encoder->n_blocks, kind;
  if (level > 0 && span <= half) return plan(encoder, first, span, level - 1);
  Cost apart = ~(Cost)0;
  if (level > 0) {
    apart = plan(encoder, first, half, level - 1);
    apart += plan(encoder, first + half, span - half, level - 1);
    /* What fell apart in both halves is not tried as a whole. */
    if (encoder->n_blocks - begin > 3) return apart;
  }
  Cost whole = best_kind(encoder, first, span, &kind);
  if (whole > apart) return apart;
  encoder->n_blocks = begin;
  add_block(encoder, span, kind);
  return whole;
}

typedef struct {
  u32 x[STATES];
  u8 *at, *floor;          /* words go below `at`, never below `floor` */
} Stack;

/* The tokens of a block, last to first. False when there is no room. */
static bool push_tokens(Stack *stack, const Modeller *modeller, const Model *model, u32 scale) {
  const u8 *token = (const u8 *)modeller->by_step, *context = (const u8 *)modeller->contexts;
  for (u32 i = modeller->steps * STATES; i-- > 0;) {
    u32 range = modeller->ranges[model->class_of[context[i]]][token[i]];
    u32 frequency = range & 0xffff, x = stack->x[i % STATES];
    if (x >= (u64)frequency << (32 - scale)) {
      if (stack->at - stack->floor < 2) return false;
      stack->at -= 2;
      *(Word *)stack->at = (u16)x;
      x >>= 16;
    }
    u32 turns = x / frequency;
    stack->x[i % STATES] = (turns << scale) + (x - turns * frequency) + (range >> 16);
  }
  return true;
}

/* Room for so many bits below the words so far, and a writer that begins there. */
static bool make_room(Stack *stack, Writer *writer, u32 bits) {
  u32 bytes = (bits + 7) / 8;
  if ((u32)(stack->at - stack->floor) < bytes) return false;
  stack->at -= bytes;
  *writer = (Writer){.at = stack->at};
  return true;
}

/* The bits of a block's lanes that their tokens do not say. */
static bool push_low_bits(Encoder *encoder, Stack *stack, u32 first, u32 span) {
  const u8 *tokens = encoder->modeller.in_line + first;
  u32 bits = 0;
  for (u32 i = 0; i < span; i++) bits += low_bits(tokens[i]);
  Writer writer;
  if (!make_room(stack, &writer, bits)) return false;
  for (u32 i = 0; i < span; i++) {
    u32 count = low_bits(tokens[i]), half = count > 32 ? 32 : count;
    u64 low = lane_at(encoder, first + i) & (((u64)1 << count) - 1);
    put(&writer, low & (((u64)1 << half) - 1), half);
    put(&writer, low >> half, count - half);
  }
  put(&writer, 0, -writer.total & 7);
  return true;
}

static void put_levels(Writer *writer, const Model *model, u32 width) {
  const u8 *level = (const u8 *)&model->levels;
  for (u32 i = 1; i < units_of(width); i++) put(writer, level[i] - level[i - 1], 1);
}

static void put_map(Writer *writer, const Model *model, u32 contexts) {
  u32 named = 1, run = 0, before = 0;
  for (u32 i = 1; i < contexts; i++) {
    u32 class = model->class_of[i];
    if (class == before) {
      run++;
      continue;
    }
    put_count(writer, run);
    put(writer, class, bit_length(named));
    named += class == named;
    before = class;
    run = 0;
  }
  put_count(writer, run);
}

/* As fine as the cells allow, for all classes alike; filling more than lanes takes too long. */
static u32 scale_for(const Encoder *encoder, u32 classes, u32 span) {
  u32 scale = MAX_SCALE, cells = cells_of(encoder->lanes);
  while (classes << scale > cells) scale--;
  while (classes << scale > span && scale > 10) scale--;
  return scale;
}

/* The tables of all classes, and the ranges of all symbols. */
static void choose_tables(Encoder *encoder, u32 scale) {
  Modeller *modeller = &encoder->modeller;
  const Table *previous = 0;
  for (u32 k = 0; k < encoder->model.classes; k++) {
    Occurring seen = {modeller->members[k], modeller->tokens, 0, 0, scale};
    for (u32 s = 0; s < seen.tokens; s++)
      seen.total += seen.counts[s], seen.distinct += seen.counts[s] != 0;
    Table *table = &encoder->tables[k];
    choose_table(table, &seen, previous);
    previous = table;
    u32 start = 0;
    for (u32 s = 0; s < seen.tokens; s++) {
      modeller->ranges[k][s] = start << 16 | table->frequency[s];
      start += table->frequency[s];
    }
  }
}

static void put_header(const Encoder *encoder, Writer *writer, u32 span, u32 scale) {
  const Model *model = &encoder->model;
  put_count(writer, (span - 1) / ATOM);
  put(writer, model->kind, 2);
  put(writer, scale, 4);
  if (model->kind >= AVERAGE) put_levels(writer, model, encoder->width);
  put_map(writer, model, contexts_of(model->kind, encoder->width));
  for (u32 k = 0; k < model->classes; k++)
    put_table(writer, &encoder->tables[k], k == 0 ? 0 : &encoder->tables[k - 1],
              encoder->modeller.tokens);
  put(writer, 0, -writer->total & 7);
}

static bool push_block(Encoder *encoder, Stack *stack, u32 first, const Block *block) {
  Modeller *modeller = &encoder->modeller;
  Model *model = &encoder->model;
  fit_stretch(encoder, first, block->span, block->kind, ROUNDS);
  gather(modeller, model, contexts_of(block->kind, encoder->width), model->classes);
  u32 scale = scale_for(encoder, model->classes, block->span);
  choose_tables(encoder, scale);
  Writer writer = {0};
  put_header(encoder, &writer, block->span, scale);
  if (encoder->width > 1 && !push_low_bits(encoder, stack, first, block->span)) return false;
  if (!push_tokens(stack, modeller, model, scale)) return false;
  if (!make_room(stack, &writer, writer.total)) return false;
  put_header(encoder, &writer, block->span, scale);
  return true;
}

/* The mode, the length and the states, then the blocks that lie at the end of `out` move down.
 * Gives the length of the stream, or 0 when it is longer than the data. */
static u32 put_front(const Stack *stack, u8 *out, u32 length, u32 lanes) {
  u8 front[6 + 4 * STATES];
  u32 n = 0;
  front[n++] = CODED;
  for (u32 rest = lanes; (front[n++] = (u8)(rest & 0x7f)), rest >>= 7;) front[n - 1] |= 0x80;
  for (u32 j = 0; j < STATES; j++)
    for (u32 i = 0; i < 4; i++) front[n++] = (u8)(stack->x[j] >> (8 * i));
  u32 body = (u32)(out + length - stack->at);
  if (n + body > length) return 0;
  copy_bytes(out + n, stack->at, body);
  copy_bytes(out, front, n);
  return n + body;
}

static u32 encode_coded(Encoder *encoder, u8 *out, u32 length) {
  for (u32 first = 0; first < encoder->lanes; first += MAX_SPAN) {
    u32 left = encoder->lanes - first;
    plan(encoder, first, left < MAX_SPAN ? left : MAX_SPAN, 3);
  }
  Stack stack = {.at = out + length, .floor = out};
  for (u32 j = 0; j < STATES; j++) stack.x[j] = LOWEST;
  for (u32 i = encoder->n_blocks, first = encoder->lanes; i-- > 0;) {
    first -= encoder->blocks[i].span;
    if (!push_block(encoder, &stack, first, &encoder->blocks[i])) return 0;
  }
  return put_front(&stack, out, length, encoder->lanes);
}

/* Parts of the scratch one after another, each at an address divisible by 16. */
static u32 take(u32 *end, u32 size) {
  u32 begin = *end;
  *end += (size + 15) & ~15u;
  return begin;
}

/* Where everything lies for so many lanes; gives the size of it all. */
static u32 lay_out_encoder(Encoder *encoder, u32 scratch, u32 lanes, u32 width) {
  u32 end = scratch, span = lanes < MAX_SPAN ? lanes : MAX_SPAN;
  u32 tokens = tokens_of(width), all = CONTEXTS * tokens, padded = STATES * steps_of(span);
  u32 classes = cells_of(lanes) >> 10;
  take(&end, sizeof(Encoder));
  u32 blocks = take(&end, (lanes / ATOM + 1) * (u32)sizeof(Block));
  u32 by_step = take(&end, padded), contexts = take(&end, padded), counts = take(&end, 4 * all);
  u32 shares = take(&end, CONTEXTS * 16 * vectors_of(tokens));
  u32 tables = take(&end, classes * (u32)sizeof(Table));
  u32 members = take(&end, classes * 1024), lengths = take(&end, classes * 512);
  u32 ranges = take(&end, classes * 1024), in_line = take(&end, width == 1 ? 0 : lanes);
  if (encoder == 0) return end - scratch;
  encoder->width = width, encoder->lanes = lanes;
  encoder->blocks = AT(Block, blocks);
  encoder->tables = AT(Table, tables);
  Modeller *modeller = &encoder->modeller;
  modeller->tokens = tokens;
  modeller->most_classes = classes;
  modeller->by_step = AT(Sixteen, by_step);
  modeller->contexts = AT(Sixteen, contexts);
  modeller->counts = AT(u32, counts);
  modeller->shares = AT(Eight, shares);
  modeller->members = AT(Wide, members);
  modeller->lengths = AT(Narrow, lengths);
  modeller->ranges = AT(Wide, ranges);
  for (u32 i = 1; i < FEW; i++) modeller->content[i] = (Cost)i * log_of(i);
  modeller->in_line = width == 1 ? encoder->in : AT(u8, in_line);
  if (width > 1)
    for (u32 i = 0; i < lanes; i++) AT(u8, in_line)[i] = (u8)token_of(lane_at(encoder, i));
  return end - scratch;
}

static u32 encode(Call *call, u32 width, u32 lag) {
  u32 length = call->in[0].len;
  if (length > MAX_BYTES || length % width != 0) return OUTSIDE_DOMAIN;
  u32 cap = length == 0 ? 0 : length + 1;
  u32 scratch = length == 0 ? 0 : lay_out_encoder(0, 0, length / width, width);
  if (call->bound) {
    call->out[0].cap = cap;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < cap) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = 0;
  if (length == 0) return DONE;
  const u8 *in = in_at(call, 0);
  u8 *out = out_at(call, 0);
  Encoder *encoder = AT(Encoder, call->scratch->ptr);
  encoder->in = in;
  encoder->modeller.lag = lag;
  lay_out_encoder(encoder, call->scratch->ptr, length / width, width);
  u32 coded = encode_coded(encoder, out, length);
  if (coded == 0) {
    out[0] = STORED;
    copy_bytes(out + 1, in, length);
    coded = length + 1;
  }
  call->out[0].len = coded;
  return DONE;
}

#endif
