/* Columns read: fields that were expected are those that stand elsewhere, others come from streams.
 */
#ifndef TABLE_READING_H
#define TABLE_READING_H

/* What later fields may ask of a column's: nothing, their numbers in the stream of known ones, or
 * which of them are equal. */
typedef enum { LEAF = 0, NUMBERED = 1, PARENT = 2 } Kind;

/* A table's shape but for its ragged lines, which `ragged` goes through. */
typedef struct {
  Counts counts;
  Numbers ragged;
  u32 counters, numbers;  /* columns that count on, and those of numbers in lanes */
  u32 sources[MOST_COLUMNS], order[MOST_COLUMNS];
  u8 kinds[MOST_COLUMNS];
} Shape;

/* Every field is one of the table's texts: equal ones of a column that matters to others are the
 * same. So a field that was expected is moved as a number, and rows are put together from texts
 * that lie close together. */
typedef struct {
  Cell *texts;
  u32 *fields;            /* of each field its text, column by column */
  u32 *latest, *slots;    /* of one column, while it is read */
  u8 *digits;             /* text that stands in no stream: counters and numbers; a vector more */
} Tables;

static u64 most_texts(const Shape *shape, u32 cells) {
  u64 rows = rows_of(&shape->counts), all = rows * shape->counts.columns;
  u64 written = cells + rows * (shape->counters + shape->numbers);
  return written < all ? written : all;
}

static u64 digits_bytes(const Shape *shape) {
  u32 most = shape->counters * MOST_CONTINUED + shape->numbers * MOST_TYPED;
  u64 all = (u64)rows_of(&shape->counts) * most;
  return all < shape->counts.length ? all : shape->counts.length;
}

static u64 tables_bytes(const Shape *shape, u32 cells) {
  u64 rows = rows_of(&shape->counts);
  return 8 * most_texts(shape, cells) + 4 * rows * shape->counts.columns + 4 * rows +
         4 * (u64)slots_for((u32)rows) + digits_bytes(shape) + sizeof(Bytes);
}

static Tables lay_out_tables(u8 *at, const Shape *shape, u32 cells) {
  u32 rows = rows_of(&shape->counts);
  Tables tables = {.texts = (Cell *)at};
  tables.fields = (u32 *)(tables.texts + most_texts(shape, cells));
  tables.latest = tables.fields + rows * shape->counts.columns;
  tables.slots = tables.latest + rows;
  tables.digits = (u8 *)(tables.slots + slots_for(rows));
  return tables;
}

/* What is left of the streams, and the texts so far. */
typedef struct {
  Numbers runs;
  u64 hits;               /* before the next miss */
  const u8 *cell, *cells_end, *known, *known_end;
  Cell *texts;
  u32 count;
  Text made;
  Numbers types;
  const u8 *lane, *lanes_end;
  Type type;              /* of the column that is read */
  Steps steps;
  u32 lanes_left;
  u32 gap;                /* numbers before the next exception */
} Reader;

static Numbers types_of(const Call *call) {
  const u8 *at = in_at(call, TYPES);
  return (Numbers){at, at + call->in[TYPES].len};
}

static const u64 NO_MISS = 1ull << 63;

/* How many expected fields come before the next miss; all where there is none. */
static bool take_run(Reader *from) {
  u32 hits;
  from->hits = NO_MISS;
  if (from->runs.at == from->runs.end) return true;
  if (!take_number(&from->runs, &hits)) return false;
  from->hits = hits;
  return true;
}

static bool start_reading(const Call *call, const Tables *tables, u64 digits, Reader *from) {
  const u8 *runs = in_at(call, RUNS);
  *from = (Reader){.runs = {runs, runs + call->in[RUNS].len}, .texts = tables->texts};
  from->cell = in_at(call, CELLS);
  from->cells_end = from->cell + call->in[CELLS].len;
  from->known = in_at(call, KNOWN);
  from->known_end = from->known + call->in[KNOWN].len;
  from->made = (Text){tables->digits, tables->digits + digits};
  from->types = types_of(call);
  from->lane = in_at(call, LANES);
  from->lanes_end = from->lane + call->in[LANES].len;
  return call->in[KNOWN].len % 2 == 0 && call->in[LANES].len % 2 == 0 && take_run(from);
}

static bool is_read(const Reader *from) {
  return from->hits >= NO_MISS / 2 && from->cell == from->cells_end &&
         from->known == from->known_end && from->types.at == from->types.end &&
         from->lane == from->lanes_end;
}

/* One column while it is read. Texts from `first` on are its own. */
typedef struct {
  u32 source, first;
  u32 *fields;
  const u32 *parent;
  u32 parent_first;
  u32 *latest;            /* for each of the parent's texts the field and 1 that stood beside it */
  u32 *slots, mask;
} Reading;

/* ---- lanes ---- */

/* The halves of a lane but the lowest, which lie as far apart as the column has lanes. */
SMALL static u64 higher_halves(const u16 *half, const Type *type) {
  u64 lane = 0;
  for (u32 k = 1; k < type->halves; k++) lane |= (u64)half[k * type->count] << 16 * k;
  return lane;
}

/* The next lane's number. */
__attribute__((noinline)) static bool take_value(Reader *from, u64 *value) {
  const Type *type = &from->type;
  u64 lane = 0;
  if (from->lanes_left == 0) return false;
  from->lanes_left--;
  if (type->halves) {
    const u16 *half = (const u16 *)from->lane;
    from->lane += 2;
    lane = half[0];
    if (type->halves > 1) lane |= higher_halves(half, type);
  }
  *value = stepped(&from->steps, type, lane);
  return true;
}

/* Whether all that the column has was read; past the higher halves, which went along. */
static bool end_type(Reader *from) {
  if (from->type.halves) from->lane += 2 * (from->type.halves - 1) * from->type.count;
  return from->lanes_left == 0 && from->type.exceptions == 0;
}

static bool take_gap(Reader *from) {
  return from->type.exceptions == 0 || take_number(&from->type.gaps, &from->gap);
}

/* The next column's type, and the texts of its ranks. */
SMALL static bool start_type(Reader *from, Kind kind) {
  from->type = (Type){};
  from->lanes_left = 0;
  if (kind == NUMBERED || from->types.at == from->types.end) return true;
  if (!take_type(&from->types, &from->type)) return false;
  from->steps = (Steps){from->type.base, from->type.base};
  from->lanes_left = from->type.count;
  u64 bytes = 2 * (u64)from->type.halves * from->type.count;
  if (bytes > (u64)(from->lanes_end - from->lane)) return false;
  for (u32 i = 0; i < from->type.ranks; i++)
    if (!take_stretch(&from->cell, from->cells_end, from->texts + from->count++)) return false;
  return take_gap(from);
}

SMALL static bool read_rank(Reader *from, const Reading *column, u32 row) {
  u64 rank;
  if (!take_value(from, &rank)) return false;
  column->fields[row] = column->first + (u32)rank;
  return rank < from->type.ranks;
}

/* The text of a number, which is put where counters' are; or the next exception. */
__attribute__((noinline)) static bool take_typed(Reader *from, Cell *cell) {
  u64 value;
  if (from->type.exceptions && from->gap == 0) {
    from->type.exceptions--;
    return take_gap(from) && take_stretch(&from->cell, from->cells_end, cell);
  }
  from->gap -= from->type.exceptions != 0;
  if (!take_value(from, &value)) return false;
  Text *made = &from->made;
  u8 *start = made->at;
  if ((u32)(made->end - start) >= MOST_TYPED) {
    made->at = put_typed(start, value, &from->type);
  } else {
    u8 room[TYPED_ROOM];
    if (!put_bytes(made, room, (u32)(put_typed(room, value, &from->type) - room))) return false;
  }
  *cell = (Cell){(u32)(uintptr_t)start, (u32)(made->at - start)};
  return true;
}

/* A field that was not expected. */
static inline bool read_field(Reader *from, const Reading *column, u32 row, Kind kind) {
  if (kind == NUMBERED) {
    if (from->known == from->known_end) return false;
    u32 number = from->known[0] | (u32)from->known[1] << 8;
    from->known += 2;
    if (number > from->count - column->first) return false;
    column->fields[row] = column->first + number - 1;
    if (number != 0) return true;
  }
  if (kind != NUMBERED && from->type.as == AS_RANKS) return read_rank(from, column, row);
  bool is_typed = kind != NUMBERED && from->type.as == AS_NUMBERS;
  Cell *text = from->texts + from->count;
  if (!(is_typed ? take_typed(from, text) : take_stretch(&from->cell, from->cells_end, text)))
    return false;
  u32 found = 0;
  if (kind == PARENT) found = find_or_place(from->texts, from->count, column->slots, column->mask);
  column->fields[row] = found ? found - 1 : from->count++;
  return true;
}

/* The fields of a column whose source is no counter. */
__attribute__((always_inline)) static inline bool read_column(Reader *from, const Reading *column,
                                                              u32 source, Kind kind, u32 rows) {
  u32 *fields = column->fields, *latest = column->latest;
  u64 hits = from->hits;
  for (u32 row = 0; row < rows; row++) {
    u32 told = 0, beside = 0;
    if (source == ABOVE && row) {
      told = fields[row - 1] + 1;
      for (; hits && row < rows; hits--) fields[row++] = told - 1;
      if (row == rows) break;
    }
    if (source == FROM) {
      beside = column->parent[row] - column->parent_first;
      told = latest[beside];
    }
    if (told && hits) {
      hits--;
      fields[row] = told - 1;
      continue;
    }
    if (told) {
      if (!take_run(from)) return false;
      hits = from->hits;
    }
    if (!read_field(from, column, row, kind)) return false;
    if (source == FROM) latest[beside] = fields[row] + 1;
  }
  from->hits = hits;
  return true;
}

static bool read_counter(Reader *from, const Reading *column, Kind kind, u32 rows) {
  u8 digits[MOST_CONTINUED];
  u32 *fields = column->fields;
  for (u32 row = 0; row < rows; row++) {
    Cell cell;
    bool told = row > 1 && continued(from->texts[fields[row - 2]], from->texts[fields[row - 1]],
                                     digits + sizeof digits, &cell);
    if (told && from->hits) {
      from->hits--;
      u32 at = (u32)(uintptr_t)from->made.at;
      if (!put_bytes(&from->made, bytes_of(cell), cell.length)) return false;
      from->texts[from->count] = (Cell){at, cell.length};
      fields[row] = from->count++;
      continue;
    }
    if (told && !take_run(from)) return false;
    if (!read_field(from, column, row, kind)) return false;
  }
  return true;
}

static bool read_any(Reader *from, const Reading *column, Kind kind, u32 rows) {
  switch (column->source) {
    case PLAIN: return read_column(from, column, PLAIN, kind, rows);
    case ABOVE: return read_column(from, column, ABOVE, kind, rows);
    case COUNTER: return read_counter(from, column, kind, rows);
    default: return read_column(from, column, FROM, kind, rows);
  }
}

/* The fields of all columns, in the order in which they were written. */
static bool read_columns(const Call *call, const Tables *tables, const Shape *shape) {
  u32 rows = rows_of(&shape->counts), firsts[MOST_COLUMNS];
  Reader from;
  if (!start_reading(call, tables, digits_bytes(shape), &from)) return false;
  for (u32 i = 0; i < shape->counts.columns; i++) {
    u32 place = shape->order[i], source = shape->sources[place];
    Kind kind = shape->kinds[place];
    Reading column = {.source = source,
                      .first = firsts[place] = from.count,
                      .fields = tables->fields + place * rows,
                      .latest = tables->latest,
                      .slots = tables->slots,
                      .mask = slots_for(rows) - 1};
    if (source >= FROM) {
      column.parent = tables->fields + (source - FROM) * rows;
      column.parent_first = firsts[source - FROM];
      empty(column.latest, rows);
    }
    if (kind == PARENT) empty(column.slots, column.mask + 1);
    if (!start_type(&from, kind)) return false;
    bool is_whole = kind == NUMBERED ? read_any(&from, &column, NUMBERED, rows)
                    : kind == PARENT ? read_any(&from, &column, PARENT, rows)
                                     : read_any(&from, &column, LEAF, rows);
    if (!is_whole || !end_type(&from)) return false;
  }
  return is_read(&from);
}

#endif
