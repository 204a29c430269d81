/* The sequences of a block: their tables, and carrying them out. */
#ifndef ZSTD_SEQUENCES_H
#define ZSTD_SEQUENCES_H

#include "fse.h"

/* A slot of a table: what it stands for, and where to go from it. */
typedef struct {
  u32 base;
  u16 next;
  u8 extra, bits;
} Cell;

typedef struct {
  Cell cell[1 << MAX_SEQUENCE_LOG];
  u32 log;
  bool there;
} Table;

static Cell cell_of(u32 kind, u32 symbol) {
  if (kind == OFFSETS) return (Cell){.base = 1u << symbol, .extra = (u8)symbol};
  if (kind == MATCH_LENGTHS)
    return (Cell){.base = MATCH_LENGTH_BASE[symbol], .extra = MATCH_LENGTH_EXTRA[symbol]};
  return (Cell){.base = LITERAL_LENGTH_BASE[symbol], .extra = LITERAL_LENGTH_EXTRA[symbol]};
}

static void build(const Counts *counts, u32 kind, Table *table) {
  u8 symbol[1 << MAX_SEQUENCE_LOG];
  u16 rank[53];
  spread(counts, symbol);
  first_ranks(counts, rank);
  table->log = counts->log;
  for (u32 i = 0; i < 1u << counts->log; i++) {
    u32 next, bits = leave(&rank[symbol[i]], counts->log, &next);
    table->cell[i] = cell_of(kind, symbol[i]);
    table->cell[i].next = (u16)next;
    table->cell[i].bits = (u8)bits;
  }
}

/* One table in its mode; gives where its description ends, 0 when malformed. */
static const u8 *read_table(const u8 *at, const u8 *end, u32 mode, u32 kind, Table *table) {
  Counts counts;
  if (mode == REPEATED) return table->there ? at : 0;
  table->there = true;
  if (mode == ONE_SYMBOL) {
    if (at == end || *at >= ALPHABET[kind].symbols) return 0;
    table->cell[0] = cell_of(kind, *at);
    table->log = 0;
    return at + 1;
  }
  if (mode == PREDEFINED) {
    counts.log = ALPHABET[kind].default_log;
    counts.symbols = ALPHABET[kind].default_symbols;
    for (u32 s = 0; s < counts.symbols; s++) counts.count[s] = DEFAULT_COUNTS[kind][s];
  } else {
    u32 taken = read_counts(at, (u32)(end - at), ALPHABET[kind].max_log, ALPHABET[kind].symbols,
                            &counts);
    if (taken == 0) return 0;
    at += taken;
  }
  build(&counts, kind, table);
  return at;
}

/* Where sequences put bytes and take them from. There is slack behind both. */
typedef struct {
  u8 *out;                 /* the next byte */
  const u8 *first;         /* of the frame: matches reach back to it */
  const u8 *stop;          /* no byte of this block lies there or behind */
  const u8 *literals, *literals_end;
} Span;

static inline void copy_wildly(u8 *to, const u8 *from, u32 length) {
  *(Bytes *)to = *(const Bytes *)from;
  for (u32 i = 16; i < length; i += 16) *(Bytes *)(to + i) = *(const Bytes *)(from + i);
}

/* A match, whose source may overlap what it writes. */
static inline void copy_match(u8 *to, u32 offset, u32 length) {
  if (offset >= 16) {
    copy_wildly(to, to - offset, length);
    return;
  }
  u32 i = 0;
  for (; i < 8; i++) to[i] = to[(i32)i - (i32)offset];
  /* A multiple of the offset repeats the same bytes, and leaves room for eight at once. */
  u32 far = offset >= 8 ? offset : offset * ((7 + offset) / offset);
  for (; i < length; i += 8) *(Word64 *)(to + i) = *(const Word64 *)(to + i - far);
}

/* The offset that a value stands for, and the recent ones after it. 0 when it stands for none. */
static inline u32 offset_of(u32 value, u32 literals, u32 *recent) {
  if (value > 3) {
    recent[2] = recent[1];
    recent[1] = recent[0];
    return recent[0] = value - 3;
  }
  u32 place = value - 1 + (literals == 0);
  if (place == 0) return recent[0];
  u32 offset = place == 3 ? recent[0] - 1 : recent[place];
  if (place != 1) recent[2] = recent[1];
  recent[1] = recent[0];
  return recent[0] = offset;
}

/* One sequence into the output; false when it reaches out of its bounds. */
static inline bool carry_out(Span *span, u32 offset, u32 literals, u32 match) {
  if (literals > (u32)(span->literals_end - span->literals)) return false;
  if (literals + match > (u32)(span->stop - span->out)) return false;
  copy_wildly(span->out, span->literals, literals);
  span->out += literals;
  span->literals += literals;
  if (offset - 1 >= (u32)(span->out - span->first)) return false;
  copy_match(span->out, offset, match);
  span->out += match;
  return true;
}

#define MOVE(state, table) state = (table) + (state)->next + take(&back, (state)->bits)

/* All sequences of a block from their bits, carried out; false when malformed. */
static bool run_sequences(const u8 *at, const u8 *end, u32 count, const Table tables[3],
                          u32 recent_kept[3], Span *kept) {
  Back back;
  if (!open_back(&back, at, end)) return false;
  const Cell *ll_table = tables[LITERAL_LENGTHS].cell, *of_table = tables[OFFSETS].cell;
  const Cell *ml_table = tables[MATCH_LENGTHS].cell;
  const Cell *ll = ll_table + take(&back, tables[LITERAL_LENGTHS].log);
  const Cell *of = of_table + take(&back, tables[OFFSETS].log);
  const Cell *ml = ml_table + take(&back, tables[MATCH_LENGTHS].log);
  u32 recent[3] = {recent_kept[0], recent_kept[1], recent_kept[2]};
  Span span = *kept;
  for (u32 left = count; left > 0; left--) {
    if (!refill(&back)) return false;
    /* Everything fits into 57 bits but for the longest extras. */
    bool wide = (u32)of->extra + ml->extra + ll->extra > 30;
    u32 value = of->base + take(&back, of->extra);
    if (wide && !refill(&back)) return false;
    u32 match = ml->base + take(&back, ml->extra);
    u32 literals = ll->base + take(&back, ll->extra);
    if (wide && !refill(&back)) return false;
    if (left > 1) {
      MOVE(ll, ll_table);
      MOVE(ml, ml_table);
      MOVE(of, of_table);
    }
    u32 offset = offset_of(value, literals, recent);
    if (!carry_out(&span, offset, literals, match)) return false;
  }
  for (u32 i = 0; i < 3; i++) recent_kept[i] = recent[i];
  *kept = span;
  return left_in(&back) == 0;
}

/* How many sequences a block has; gives where that ends, 0 when malformed. */
static const u8 *read_number(const u8 *at, const u8 *end, u32 *count) {
  if (at == end) return 0;
  u32 first = *at++;
  *count = first;
  if (first < 128) return at;
  if (end - at < (first == 255 ? 2 : 1)) return 0;
  if (first == 255) {
    *count = load16(at) + 0x7f00;
    return at + 2;
  }
  *count = (first - 128) << 8 | *at;
  return at + 1;
}

/* The section of sequences, up to the end of its block. */
static bool decode_sequences(const u8 *at, const u8 *end, Table tables[3], u32 recent[3],
                             Span *span) {
  u32 count;
  at = read_number(at, end, &count);
  if (at == 0) return false;
  if (count == 0) return at == end;
  if (at == end) return false;
  u32 modes = *at++;
  if ((modes & 3) != 0) return false;
  for (u32 kind = 0; kind < 3; kind++) {
    at = read_table(at, end, modes >> (6 - 2 * kind) & 3, kind, &tables[kind]);
    if (at == 0) return false;
  }
  return run_sequences(at, end, count, tables, recent, span);
}

#endif
