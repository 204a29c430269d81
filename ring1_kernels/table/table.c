/* table: lines of fields as columns, without the fields that follow from another column. See spec.md.
 */
#include "../abi.h"
#include "lines.h"
#include "shape.h"
#include "columns.h"
#include "sources.h"
#include "room.h"
#include "telling.h"
#include "types.h"
#include "typing.h"
#include "text.h"
#include "reading.h"
#include "joining.h"

/* ---- forward ---- */

/* No more than one row in so many is lost by cutting moments. */
enum { MOST_LOST = 64 };

/* The lines that are cut in one way. The template is left in `template`. */
SMALL static Counts count_lines(const u8 *text, u32 length, u32 format, Line *template) {
  Counts counts = {.length = length};
  bool found = find_template(text, length, format, template);
  if (found) counts.columns = template->count;
  Line line;
  for (u32 at = 0; at < length; at = line.end + 1, counts.lines++) {
    line.end = line_end(text, at, length);
    if (found) split(text, length, at, format, &line);
    if (found && fits(text, template, &line)) {
      for (u32 c = 0; c < line.count; c++) counts.cell_bytes += line.fields[c].length + 1;
      continue;
    }
    counts.ragged++;
    counts.ragged_bytes += line.end - at;
  }
  return counts;
}

/* Moments are cut where hardly a line is no row for that. Pieces are the template's bytes and one
 * more for each. */
SMALL static Counts count(const u8 *text, u32 length, u32 *format, Line *template, u32 *pieces) {
  *format |= CUT_MOMENTS;
  Counts counts = count_lines(text, length, *format, template);
  if (counts.columns == 0 || template->moments != 0) {
    Line other;
    Counts whole = count_lines(text, length, *format - CUT_MOMENTS, &other);
    if (counts.columns == 0 ||
        counts.ragged > whole.ragged + (whole.lines - whole.ragged) / MOST_LOST) {
      counts = whole;
      *format -= CUT_MOMENTS;
      split(text, length, other.at, *format, template);
    }
  }
  *pieces = 0;
  for (u32 i = 0; counts.columns && i <= counts.columns; i++)
    *pieces += piece(text, template, i).length + 1;
  return counts;
}

/* Fields to the table; the template's pieces and other lines to the stream of their own, the
 * lengths of those into the shape. */
SMALL static u8 *take_lines(const Call *call, const Counts *counts, u32 format, const Line *template,
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

static Writer start_writing(const Call *call) {
  return (Writer){.run = out_at(call, RUNS),
                  .cell = out_at(call, CELLS),
                  .known = out_at(call, KNOWN),
                  .type = out_at(call, TYPES),
                  .lane = out_at(call, LANES)};
}

static void end_writing(const Call *call, const Writer *to) {
  const u8 *ends[STREAMS] = {
      [RUNS] = to->run,   [CELLS] = to->cell, [KNOWN] = to->known,
      [TYPES] = to->type, [LANES] = to->lane,
  };
  for (u32 i = 0; i < STREAMS; i++)
    if (ends[i]) call->out[i].len = (u32)(ends[i] - (const u8 *)out_at(call, i));
}

/* Whether a column is written as lanes; if so, it is. */
SMALL static bool write_as_lanes(const Column *column, u32 rows, u8 *status, Writer *to) {
  Typing typing = lay_out_typing(status + rows, column, rows, status);
  Type type = choose_type(&typing);
  if (type.as != AS_TEXT) write_typed(&typing, &type, to);
  return type.as != AS_TEXT;
}

/* All columns; the shape gets how each was written. */
SMALL static u8 *write_columns(const Call *call, const Room *room, u32 rows, u32 columns, u32 dictionary,
                         u8 *shape) {
  Writer to = start_writing(call);
  bool numbered[MOST_COLUMNS], has_types = false;
  for (u32 i = 0; i < columns; i++) {
    u32 place = room->order[i], written[3] = {};
    Column column = column_of(room, place, rows, true);
    tell(&column, rows, room->rest, &to, written);
    numbered[place] = false;
    if (dictionary == WITH_LANES && write_as_lanes(&column, rows, room->rest, &to)) {
      has_types = true;
      continue;
    }
    numbered[place] =
        dictionary && written[AGAIN] >= written[FRESH] && column.count <= MOST_NUMBERED;
    if (dictionary == WITH_LANES && !numbered[place]) to.type = put_number(to.type, AS_TEXT);
    write(&column, rows, room->rest, numbered[place], &to);
  }
  /* Nothing says that all is text. */
  if (!has_types) to.type = out_at(call, TYPES);
  end_writing(call, &to);
  for (u32 c = 0; c < columns; c++)
    shape = put_number(shape, 2 * room->sources[c] + numbered[c] * NUMBERED);
  return shape;
}

static u32 forward(Call *call, u32 format, u32 dictionary) {
  if (call->n_in != 1 || call->n_out != STREAMS) return CALL_SHAPE;
  const u8 *text = in_at(call, 0);
  Line template;
  u32 pieces;
  Counts counts = count(text, call->in[0].len, &format, &template, &pieces);
  u32 rows = rows_of(&counts), columns = counts.columns;
  u32 surveyed = columns ? surveyed_rows(rows, columns) : 0;
  /* The survey is over when rows are told: what is written of each takes its room. */
  u64 survey = survey_bytes(surveyed, columns), scratch = table_bytes(&counts);
  bool has_lanes = dictionary == WITH_LANES && columns != 0;
  u64 telling = rows + (has_lanes ? typing_bytes(rows) : 0);
  scratch += survey > telling ? survey : telling;
  if (scratch > 0xffffffffu) return OUTSIDE_DOMAIN;
  u32 room_for[STREAMS] = {
      [SHAPE] = shape_room(counts.length, counts.lines, columns, counts.ragged),
      [RUNS] = rows * columns + (rows * columns >> 7),
      [CELLS] = counts.cell_bytes,
      [KNOWN] = 2 * rows * columns,
      [RAGGED] = counts.ragged_bytes + pieces,
      [TYPES] = has_lanes ? columns * MOST_TYPE + rows * columns / 7 : 0,
      [LANES] = has_lanes ? counts.cell_bytes : 0,
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
    arrange(room.sources, columns, room.order);
  }
  shape = write_columns(call, &room, rows, columns, dictionary, shape);
  call->out[SHAPE].len = (u32)(shape - start);
  if (counts.length == 0) call->out[RAGGED].len = 0;
  return DONE;
}

/* ---- inverse ---- */

/* The first numbers of a shape. Whatever they claim, every field of a row is at least the byte that
 * follows it, but for the last of all. */
SMALL static bool take_counts(Numbers *from, Counts *counts) {
  u32 rows;
  if (!take_number(from, &counts->length) || !take_number(from, &counts->columns) ||
      !take_number(from, &rows) || !take_number(from, &counts->ragged))
    return false;
  if (counts->length == 0 || counts->columns == 1 || counts->columns > MOST_COLUMNS) return false;
  if ((counts->columns == 0) != (rows == 0)) return false;
  u64 lines = (u64)rows + counts->ragged;
  counts->lines = (u32)lines;
  return lines <= (u64)counts->length + 1 &&
         (u64)rows * counts->columns <= (u64)counts->length + 1;
}

/* Past the ragged lines to the columns' sources, which are the shape's last numbers. */
SMALL static bool take_sources(Numbers *from, Shape *shape) {
  u32 number, columns = shape->counts.columns;
  for (u32 i = 0; i < shape->counts.ragged; i++)
    if (!take_number(from, &number) || !take_number(from, &number)) return false;
  for (u32 c = 0; c < columns; c++) {
    if (!take_number(from, &number) || number / 2 >= FROM + columns) return false;
    shape->sources[c] = number / 2;
    shape->counters += number / 2 == COUNTER;
    shape->kinds[c] = number % 2 ? NUMBERED : LEAF;
  }
  for (u32 c = 0; c < columns; c++) {
    u32 parent = shape->sources[c] - FROM;
    if (shape->sources[c] >= FROM && shape->kinds[parent] == LEAF) shape->kinds[parent] = PARENT;
  }
  return arrange(shape->sources, columns, shape->order) == columns;
}

/* Which types columns have is read when they are; before, how many are numbers, whose texts need
 * room. A list of texts is no longer than its column. */
SMALL static bool count_types(const Call *call, Shape *shape) {
  Numbers from = types_of(call);
  for (u32 i = 0; i < shape->counts.columns && from.at != from.end; i++) {
    Type type;
    u32 place = shape->order[i];
    if (shape->kinds[place] == NUMBERED) continue;
    if (!take_type(&from, &type)) return false;
    shape->numbers += type.as == AS_NUMBERS;
    if (type.ranks > rows_of(&shape->counts)) return false;
    if (type.as == AS_RANKS && shape->sources[place] == COUNTER) return false;
  }
  return from.at == from.end;
}

static bool take_shape(const Call *call, Shape *shape) {
  const u8 *at = in_at(call, SHAPE);
  Numbers from = {at, at + call->in[SHAPE].len};
  shape->counts = (Counts){};
  shape->counters = 0;
  shape->numbers = 0;
  if (from.at == from.end) return call->in[TYPES].len == 0;
  if (!take_counts(&from, &shape->counts)) return false;
  shape->ragged = from;
  return take_sources(&from, shape) && from.at == from.end && count_types(call, shape);
}

static bool join(const Call *call, const Tables *tables, const Shape *shape, Text text) {
  const Counts *counts = &shape->counts;
  Numbers places = shape->ragged;
  const u8 *ragged = in_at(call, RAGGED), *end = ragged + call->in[RAGGED].len;
  u32 rows = rows_of(counts), row = 0, left = counts->ragged;
  Template template;
  template.columns = counts->columns;
  for (u32 i = 0; counts->columns && i <= counts->columns; i++) {
    Cell piece;
    if (!take_stretch(&ragged, end, &piece)) return false;
    add_piece(&template, i, piece);
  }
  /* Without room for a vector no field is moved as one. */
  Input fields = call->in[CELLS].len < sizeof(Bytes) ? (Input){0, sizeof(Bytes)} : call->in[CELLS];
  Input made = {(u32)(uintptr_t)tables->digits, (u32)digits_bytes(shape) + sizeof(Bytes)};
  for (u32 line = 0; line < counts->lines;) {
    u32 regular = rows - row, length = 0;
    if (left && (!take_number(&places, &regular) || !take_number(&places, &length))) return false;
    if (regular > rows - row) return false;
    for (; regular; regular--, row++, line++)
      if (!put_row(&text, &template, tables, rows, row, fields, made) ||
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

static u32 inverse(Call *call) {
  if (call->n_in != STREAMS || call->n_out != 1) return CALL_SHAPE;
  Shape shape;
  if (!take_shape(call, &shape)) return MALFORMED;
  u32 length = shape.counts.length;
  u64 scratch = tables_bytes(&shape, call->in[CELLS].len);
  if (scratch > 0xffffffffu) return MALFORMED;
  if (call->bound) {
    call->out[0].cap = length;
    call->scratch->len = (u32)scratch;
    return DONE;
  }
  if (call->out[0].cap < length) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  Tables tables = lay_out_tables(AT(u8, call->scratch->ptr), &shape, call->in[CELLS].len);
  u8 *out = out_at(call, 0);
  if (!read_columns(call, &tables, &shape) ||
      !join(call, &tables, &shape, (Text){out, out + length}))
    return MALFORMED;
  call->out[0].len = length;
  return DONE;
}

static u32 work(Call *call) {
  u32 format, dictionary;
  if (!take_uint(call, 0, JSON_LINES, &format) || !take_uint(call, 0, WITH_LANES, &dictionary) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  return call->inverse ? inverse(call) : forward(call, format, dictionary);
}
