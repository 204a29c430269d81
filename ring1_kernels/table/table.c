/* table: lines of fields as columns, without the fields that follow from another column. See spec.md.
 */
#include "../abi.h"
#include "lines.h"
#include "shape.h"
#include "columns.h"
#include "sources.h"

enum { SHAPE, MISSES, CELLS, RAGGED, STREAMS };

typedef struct { u32 length, lines, columns, ragged; } Counts;

static inline u32 rows_of(const Counts *counts) {
  return counts->columns ? counts->lines - counts->ragged : 0;
}

/* Scratch: the fields, the numbers of a parent's fields, their latest rows, slots, order, sources. */
static u64 table_bytes(const Counts *counts) {
  u64 rows = rows_of(counts), columns = counts->columns;
  return 8 * rows * columns + 8 * rows + 4 * (u64)slots_for((u32)rows) + 8 * columns;
}

typedef struct {
  Cell *cells;
  u32 *numbers, *latest, *slots, *order, *sources;
  u8 *rest;
} Room;

static Room lay_out(u8 *at, const Counts *counts) {
  u32 rows = rows_of(counts), columns = counts->columns;
  Room room = {.cells = (Cell *)at};
  room.numbers = (u32 *)(room.cells + rows * columns);
  room.latest = room.numbers + rows;
  room.slots = room.latest + rows;
  room.order = room.slots + slots_for(rows);
  room.sources = room.order + columns;
  room.rest = (u8 *)(room.sources + columns);
  return room;
}

/* A teller that has met no row. */
static Teller teller_of(const Room *room, u32 source, u32 rows, u32 *known) {
  Teller teller = {.source = source, .parent = room->numbers, .latest = room->latest};
  if (source < FROM) return teller;
  if (source != *known)
    number_fields(room->cells + (source - FROM) * rows, rows, room->slots, room->numbers);
  *known = source;
  for (u32 i = 0; i < rows; i++) room->latest[i] = 0;
  return teller;
}

/* ---- forward ---- */

/* The template is left in `template`; pieces are its bytes and one more for each. */
static Counts count(const u8 *text, u32 length, u32 format, Line *template, u32 *pieces) {
  Counts counts = {.length = length};
  bool found = find_template(text, length, format, template);
  *pieces = 0;
  if (found) {
    counts.columns = template->count;
    for (u32 i = 0; i <= template->count; i++) *pieces += piece(text, template, i).length + 1;
  }
  Line line;
  for (u32 at = 0; at < length; at = line.end + 1, counts.lines++) {
    line.end = line_end(text, at, length);
    if (found) split(text, length, at, format, &line);
    counts.ragged += !found || !fits(text, template, &line);
  }
  return counts;
}

static u8 *put_cell(u8 *to, Cell cell) {
  copy_bytes(to, bytes_of(cell), cell.length);
  to[cell.length] = '\n';
  return to + cell.length + 1;
}

/* Fields to the table; the template's pieces and other lines to the stream of their own, the
 * lengths of those into the shape. */
static u8 *take_lines(const Call *call, const Counts *counts, u32 format, const Line *template,
                      Cell *cells, u8 *shape) {
  const u8 *text = in_at(call, 0);
  u8 *start = out_at(call, RAGGED), *ragged = start;
  u32 row = 0, regular = 0, rows = rows_of(counts);
  for (u32 i = 0; counts->columns && i <= counts->columns; i++)
    ragged = put_cell(ragged, piece(text, template, i));
  Line line;
  for (u32 at = 0; at < counts->length; at = line.end + 1) {
    line.end = line_end(text, at, counts->length);
    if (counts->columns) split(text, counts->length, at, format, &line);
    if (counts->columns && fits(text, template, &line)) {
      for (u32 c = 0; c < counts->columns; c++) cells[c * rows + row] = line.fields[c];
      row++;
      regular++;
      continue;
    }
    shape = put_number(put_number(shape, regular), line.end - at);
    copy_bytes(ragged, text + at, line.end - at);
    ragged += line.end - at;
    regular = 0;
  }
  call->out[RAGGED].len = (u32)(ragged - start);
  return shape;
}

static void write_columns(const Call *call, const Room *room, u32 rows, u32 columns) {
  u8 *misses = out_at(call, MISSES), *texts = out_at(call, CELLS);
  u8 *miss = misses, *text = texts;
  u32 known = PLAIN;
  for (u32 i = 0; i < columns; i++) {
    const Cell *cells = room->cells + room->order[i] * rows;
    Teller teller = teller_of(room, room->sources[room->order[i]], rows, &known);
    for (u32 row = 0; row < rows; row++) {
      Cell cell;
      bool told = expected(&teller, cells, row, &cell), hit = told && same(cell, cells[row]);
      if (told) *miss++ = !hit;
      if (!hit) text = put_cell(text, cells[row]);
    }
  }
  call->out[MISSES].len = (u32)(miss - misses);
  call->out[CELLS].len = (u32)(text - texts);
}

static u32 forward(Call *call, u32 format) {
  if (call->n_in != 1 || call->n_out != STREAMS) return CALL_SHAPE;
  const u8 *text = in_at(call, 0);
  Line template;
  u32 pieces;
  Counts counts = count(text, call->in[0].len, format, &template, &pieces);
  u32 rows = rows_of(&counts), columns = counts.columns;
  u32 surveyed = columns ? surveyed_rows(rows, columns) : 0;
  u64 scratch = table_bytes(&counts) + survey_bytes(surveyed, columns);
  if (scratch > 0xffffffffu) return OUTSIDE_DOMAIN;
  u32 room_for[STREAMS] = {
      [SHAPE] = shape_room(counts.length, counts.lines, columns, counts.ragged),
      [MISSES] = rows * columns,
      [CELLS] = counts.length + rows * columns,
      [RAGGED] = counts.length + pieces,
  };
  for (u32 i = 0; i < STREAMS; i++) {
    if (call->bound) call->out[i].cap = room_for[i];
    if (call->out[i].cap < room_for[i]) return CAPACITY;
  }
  if (call->bound) {
    call->scratch->len = (u32)scratch;
    return DONE;
  }
  if (call->scratch->len < scratch) return SCRATCH;
  Room room = lay_out(AT(u8, call->scratch->ptr), &counts);
  u8 *start = out_at(call, SHAPE), *shape = start;
  if (counts.length) {
    shape = put_number(put_number(shape, counts.length), columns);
    shape = put_number(put_number(shape, rows), counts.ragged);
    shape = take_lines(call, &counts, format, &template, room.cells, shape);
  }
  if (rows) {
    Survey survey = lay_out_survey(room.rest, surveyed, columns);
    choose_sources(&survey, room.cells, rows, room.slots, room.sources);
    for (u32 c = 0; c < columns; c++) shape = put_number(shape, room.sources[c]);
    arrange(room.sources, columns, room.order);
  }
  call->out[SHAPE].len = (u32)(shape - start);
  write_columns(call, &room, rows, columns);
  if (counts.length == 0) call->out[RAGGED].len = 0;
  return DONE;
}

/* ---- inverse ---- */

/* The first numbers of a shape. Whatever they claim, every field of a row is at least the byte that
 * follows it, but for the last of all. */
static bool take_counts(const Call *call, Numbers *shape, Counts *counts) {
  u32 rows;
  *counts = (Counts){};
  *shape = (Numbers){in_at(call, SHAPE), (const u8 *)in_at(call, SHAPE) + call->in[SHAPE].len};
  if (call->in[SHAPE].len == 0) return true;
  if (!take_number(shape, &counts->length) || !take_number(shape, &counts->columns) ||
      !take_number(shape, &rows) || !take_number(shape, &counts->ragged))
    return false;
  if (counts->length == 0 || counts->columns == 1 || counts->columns > MOST_COLUMNS) return false;
  if ((counts->columns == 0) != (rows == 0)) return false;
  u64 lines = (u64)rows + counts->ragged;
  counts->lines = (u32)lines;
  return lines <= (u64)counts->length + 1 &&
         (u64)rows * counts->columns <= (u64)counts->length + 1;
}

/* Lines are joined by one byte each, and the text may or may not end with one: what is over. */
typedef struct { u8 *at, *end; } Text;

static bool put_bytes(Text *text, const u8 *from, u32 length) {
  if (length > (u32)(text->end - text->at)) return false;
  copy_bytes(text->at, from, length);
  text->at += length;
  return true;
}

/* Most fields are short and lie in their stream with others behind them, as does the text to come:
 * those are moved as one vector. What that writes too much is written over. */
static inline bool put_field(Text *text, Cell cell, Input stream) {
  if (cell.length > sizeof(Bytes) || (u32)(text->end - text->at) < sizeof(Bytes) ||
      cell.at - stream.ptr > stream.len - (u32)sizeof(Bytes))
    return put_bytes(text, bytes_of(cell), cell.length);
  *(Bytes *)text->at = *(const Bytes *)bytes_of(cell);
  text->at += cell.length;
  return true;
}

/* The byte after a line; after the last there may be none. */
static bool end_line(Text *text, bool is_last) {
  if (text->at == text->end) return is_last;
  *text->at++ = '\n';
  return true;
}

/* A stretch of bytes up to the next 0a, which is skipped; false where there is none. */
static bool take_stretch(const u8 **from, const u8 *end, Cell *cell) {
  u32 length = line_end(*from, 0, (u32)(end - *from));
  if (*from + length == end) return false;
  *cell = (Cell){(u32)(uintptr_t)*from, length};
  *from += length + 1;
  return true;
}

/* The fields of all columns, in the order in which they were written. `made` has room for text that
 * stands in no stream: the digits of counters. */
static bool read_columns(const Call *call, const Room *room, const Counts *counts, Text made) {
  Numbers misses = {in_at(call, MISSES), (const u8 *)in_at(call, MISSES) + call->in[MISSES].len};
  const u8 *text = in_at(call, CELLS), *end = text + call->in[CELLS].len;
  u32 rows = rows_of(counts), known = PLAIN;
  for (u32 i = 0; i < counts->columns; i++) {
    Cell *cells = room->cells + room->order[i] * rows;
    Teller teller = teller_of(room, room->sources[room->order[i]], rows, &known);
    for (u32 row = 0; row < rows; row++) {
      Cell cell;
      bool miss = true;
      if (expected(&teller, cells, row, &cell)) {
        if (misses.at == misses.end || *misses.at > 1) return false;
        miss = *misses.at++;
      }
      if (!miss && teller.source == COUNTER) {
        u8 *at = made.at;
        if (!put_bytes(&made, bytes_of(cell), cell.length)) return false;
        cell.at = (u32)(uintptr_t)at;
      }
      if (miss && !take_stretch(&text, end, &cell)) return false;
      cells[row] = cell;
    }
  }
  return misses.at == misses.end && text == end;
}

/* The template's pieces and the row's fields in turns. */
static bool put_row(Text *text, const Cell *pieces, const Room *room, const Counts *counts, u32 row,
                    Input fields) {
  u32 rows = rows_of(counts);
  for (u32 c = 0; c < counts->columns; c++) {
    if (pieces[c].length == 1 && text->at != text->end) *text->at++ = *bytes_of(pieces[c]);
    else if (!put_bytes(text, bytes_of(pieces[c]), pieces[c].length)) return false;
    if (!put_field(text, room->cells[c * rows + row], fields)) return false;
  }
  Cell last = pieces[counts->columns];
  return put_bytes(text, bytes_of(last), last.length);
}

static bool join(const Call *call, const Room *room, const Counts *counts, Numbers shape,
                 Text text) {
  const u8 *ragged = in_at(call, RAGGED), *end = ragged + call->in[RAGGED].len;
  u32 rows = rows_of(counts), row = 0, left = counts->ragged;
  Cell pieces[MOST_COLUMNS + 1];
  for (u32 i = 0; counts->columns && i <= counts->columns; i++)
    if (!take_stretch(&ragged, end, pieces + i)) return false;
  /* Without room for a vector no field is moved as one. */
  Input fields = call->in[CELLS].len < sizeof(Bytes) ? (Input){0, sizeof(Bytes)} : call->in[CELLS];
  for (u32 line = 0; line < counts->lines;) {
    u32 regular = rows - row, length = 0;
    if (left && (!take_number(&shape, &regular) || !take_number(&shape, &length))) return false;
    if (regular > rows - row) return false;
    for (; regular; regular--, row++, line++)
      if (!put_row(&text, pieces, room, counts, row, fields) ||
          !end_line(&text, line + 1 == counts->lines))
        return false;
    if (left == 0) continue;
    if (length > (u32)(end - ragged) || !put_bytes(&text, ragged, length)) return false;
    if (!end_line(&text, ++line == counts->lines)) return false;
    ragged += length;
    left--;
  }
  return text.at == text.end && ragged == end;
}

/* Past the ragged lines to the columns' sources, which are the shape's last numbers. */
static bool take_sources(const Counts *counts, Numbers shape, const Room *room) {
  u32 number;
  for (u32 i = 0; i < counts->ragged; i++)
    if (!take_number(&shape, &number) || !take_number(&shape, &number)) return false;
  for (u32 c = 0; c < counts->columns; c++)
    if (!take_number(&shape, &room->sources[c]) || room->sources[c] >= FROM + counts->columns)
      return false;
  return shape.at == shape.end &&
         arrange(room->sources, counts->columns, room->order) == counts->columns;
}

static u32 inverse(Call *call) {
  if (call->n_in != STREAMS || call->n_out != 1) return CALL_SHAPE;
  Numbers shape;
  Counts counts;
  if (!take_counts(call, &shape, &counts)) return MALFORMED;
  u64 scratch = table_bytes(&counts) + counts.length;
  if (scratch > 0xffffffffu) return MALFORMED;
  if (call->bound) {
    call->out[0].cap = counts.length;
    call->scratch->len = (u32)scratch;
    return DONE;
  }
  if (call->out[0].cap < counts.length) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  Room room = lay_out(AT(u8, call->scratch->ptr), &counts);
  u8 *out = out_at(call, 0);
  Text made = {room.rest, room.rest + counts.length}, text = {out, out + counts.length};
  if (!take_sources(&counts, shape, &room) || !read_columns(call, &room, &counts, made) ||
      !join(call, &room, &counts, shape, text))
    return MALFORMED;
  call->out[0].len = counts.length;
  return DONE;
}

static u32 work(Call *call) {
  u32 format;
  if (!take_uint(call, 0, JSON_LINES, &format) || !no_more_parameters(call)) return BAD_PARAMETER;
  return call->inverse ? inverse(call) : forward(call, format);
}
