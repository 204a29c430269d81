/* Bits of a block's header, and the table of one class among them. */
#ifndef RANS1_WRITER_H
#define RANS1_WRITER_H

#include "format.h"

/* Costs are in 1/256 bit. They steer choices and never reach the stream. */
typedef u64 Cost;

#define BITS(count) ((Cost)(count) << 8)

/* log2 of a count from 1: the exponent, and a polynomial for the fraction. */
static inline u32 log_of(u32 value) {
  u32 exponent = bit_length(value) - 1;
  i32 t = (i32)(value << (31 - exponent) >> 15 & 0xffff);
  i32 bend = ((5263 * t >> 16) - 15512) * t / 65536 + 28710;
  u32 arch = (((u32)t * (u32)(65536 - t)) >> 16) * (u32)bend >> 16;
  return exponent << 8 | ((u32)t + arch) >> 8;
}

/* Bits, lowest first. Without a place to put them they are only counted. */
typedef struct {
  u8 *at;
  u64 bits;
  u32 count, total;
} Writer;

static void put(Writer *writer, u64 value, u32 count) {
  writer->total += count;
  if (writer->at == 0) return;
  writer->bits |= value << writer->count;
  for (writer->count += count; writer->count >= 8; writer->count -= 8) {
    *writer->at++ = (u8)writer->bits;
    writer->bits >>= 8;
  }
}

static void put_count(Writer *writer, u32 value) {
  u32 zeros = bit_length(value + 1) - 1;
  put(writer, 0, zeros);
  put(writer, 1, 1);
  put(writer, value + 1 - (1u << zeros), zeros);
}

typedef struct {
  u8 precision, predictor, rest;
  u16 frequency[256];
} Table;

static void put_step(Writer *writer, u32 predictor, u32 exponent, u32 predicted) {
  if (predictor == FROM_ZERO)
    put_count(writer, exponent - 1);
  else if (exponent > predicted)
    put_count(writer, 2 * (exponent - predicted) - 1);
  else
    put_count(writer, 2 * (predicted - exponent) - 2);
}

/* The exponents of a table beside what they are predicted to be, for all symbols but `rest`. */
typedef struct {
  u32 n;
  u8 symbol[256], exponent[256], predicted[256];
} Exponents;

static void list_exponents(Exponents *list, const Table *table, const Table *previous, u32 tokens) {
  u32 n = 0, before = 0;
  for (u32 s = 0; s < tokens; s++) {
    if (s == table->rest) continue;
    u32 exponent = bit_length(table->frequency[s]), predicted = before;
    if (table->predictor == FROM_CLASS)
      predicted = previous == 0 ? 0 : bit_length(previous->frequency[s]);
    if (table->predictor == FROM_SYMBOL) before = exponent;
    list->symbol[n] = (u8)s;
    list->exponent[n] = (u8)exponent;
    list->predicted[n] = (u8)predicted;
    n++;
  }
  list->n = n;
}

static void put_run(Writer *writer, const Exponents *list, u32 from) {
  u32 to = from;
  while (to < list->n && list->exponent[to] == list->predicted[to]) to++;
  put_count(writer, to - from);
}

/* The table of one class, as read_class takes it. */
static void put_table(Writer *writer, const Table *table, const Table *previous, u32 tokens) {
  put(writer, table->rest, 8);
  put(writer, table->precision - 1u, 3);
  put(writer, table->predictor, 2);
  Exponents list;
  list_exponents(&list, table, previous, tokens);
  put_run(writer, &list, 0);
  for (u32 i = 0; i < list.n; i++) {
    u32 exponent = list.exponent[i];
    if (exponent != list.predicted[i]) {
      put_step(writer, table->predictor, exponent, list.predicted[i]);
      put_run(writer, &list, i + 1);
    }
    if (exponent == 0) continue;
    u32 kept = kept_bits(exponent, table->precision);
    u32 below = table->frequency[list.symbol[i]] - (1u << (exponent - 1));
    put(writer, below >> (exponent - 1 - kept), kept);
  }
}

static u32 table_bits(const Table *table, const Table *previous, u32 tokens) {
  Writer writer = {0};
  put_table(&writer, table, previous, tokens);
  return writer.total;
}

/* `value` with at most `precision` bits between its first and its last 1: the nearest such number,
 * or the next lower one. */
static u32 rounded(u32 value, u32 precision, bool down) {
  u32 exponent = bit_length(value);
  if (exponent <= precision) return value;
  u32 dropped = exponent - precision;
  return (value + (down ? 0 : 1u << (dropped - 1))) >> dropped << dropped;
}

/* What a table is made for: how often the symbols of a class occur. */
typedef struct {
  const u32 *counts;
  u32 tokens, total, distinct, scale;
} Occurring;

/* Frequencies for these counts; false when they leave nothing to `rest`. Rounding to the nearest
 * can do that, and rounding down from a share of what is left after one slot for each never does.
 */
static bool set_frequencies(Table *table, const Occurring *seen, bool down) {
  u32 range = 1u << seen->scale, sum = 0;
  for (u32 s = 0; s < seen->tokens; s++) {
    u32 frequency = 0, count = seen->counts[s];
    if (count != 0 && s != table->rest) {
      if (down)
        frequency = 1 + (u32)((u64)count * (range - seen->distinct) / seen->total);
      else
        frequency = (u32)((((u64)count << seen->scale) + seen->total / 2) / seen->total);
      frequency = rounded(frequency == 0 ? 1 : frequency, table->precision, down);
      sum += frequency;
    }
    table->frequency[s] = (u16)frequency;
  }
  table->frequency[table->rest] = (u16)(range - sum);
  return sum < range;
}

/* What the symbols cost, and the bits of their frequencies that depend on the precision. */
static Cost cost_of(const Table *table, const Occurring *seen) {
  Cost cost = 0;
  for (u32 s = 0; s < seen->tokens; s++) {
    if (seen->counts[s] == 0) continue;
    u32 frequency = table->frequency[s];
    cost += (Cost)seen->counts[s] * ((seen->scale << 8) - log_of(frequency));
    cost += BITS(kept_bits(bit_length(frequency), table->precision));
  }
  return cost;
}

/* The cheapest table for a class: its precision, then what its exponents are predicted from. */
static void choose_table(Table *best, const Occurring *seen, const Table *previous) {
  Table trial = {.predictor = FROM_SYMBOL};
  for (u32 s = 0; s < seen->tokens; s++)
    if (seen->counts[s] > seen->counts[trial.rest]) trial.rest = (u8)s;
  Cost least = ~(Cost)0;
  u32 most = seen->distinct == 1 ? 1 : MAX_PRECISION;
  for (u32 precision = 1; precision <= most; precision++) {
    trial.precision = (u8)precision;
    if (!set_frequencies(&trial, seen, false)) set_frequencies(&trial, seen, true);
    Cost cost = cost_of(&trial, seen);
    if (cost >= least) break;
    least = cost;
    *best = trial;
  }
  u32 bits = ~0u, predictor = FROM_SYMBOL;
  for (u32 other = FROM_ZERO; other <= FROM_CLASS; other++) {
    best->predictor = (u8)other;
    u32 other_bits = table_bits(best, previous, seen->tokens);
    if (other_bits < bits) bits = other_bits, predictor = other;
  }
  best->predictor = (u8)predictor;
}

#endif
