/* The scratch of a table: its fields, their numbers, and what is known of one column at a time. */
#ifndef TABLE_ROOM_H
#define TABLE_ROOM_H

enum { SHAPE, RUNS, CELLS, KNOWN, RAGGED, TYPES, LANES, STREAMS };

typedef struct {
  u32 length, lines, columns, ragged;
  u32 ragged_bytes, cell_bytes;   /* of the other lines, and of all fields with an end each */
} Counts;

static inline u32 rows_of(const Counts *counts) {
  return counts->columns ? counts->lines - counts->ragged : 0;
}

/* Scratch: fields and their numbers; of one column latest rows, firsts, slots; order, sources. */
static u64 table_bytes(const Counts *counts) {
  u64 rows = rows_of(counts), columns = counts->columns;
  return 12 * rows * columns + 8 * rows + 4 * (u64)slots_for((u32)rows) + 8 * columns;
}

typedef struct {
  Cell *cells;
  u32 *numbers, *latest, *firsts, *slots, *order, *sources;
  u8 *rest;
} Room;

static Room lay_out(u8 *at, const Counts *counts) {
  u32 rows = rows_of(counts), columns = counts->columns;
  Room room = {.cells = (Cell *)at};
  room.numbers = (u32 *)(room.cells + rows * columns);
  room.latest = room.numbers + rows * columns;
  room.firsts = room.latest + rows;
  room.slots = room.firsts + rows;
  room.order = room.slots + slots_for(rows);
  room.sources = room.order + columns;
  room.rest = (u8 *)(room.sources + columns);
  return room;
}

/* A column of which no row was met. Fields that may stand in it again are remembered. */
static Column column_of(const Room *room, u32 place, u32 rows, bool remembers) {
  u32 source = room->sources[place];
  Column column = {.source = source,
                   .cells = room->cells + place * rows,
                   .numbers = room->numbers + place * rows,
                   .latest = room->latest,
                   .firsts = room->firsts,
                   .slots = room->slots,
                   .mask = slots_for(rows) - 1};
  if (source >= FROM) {
    column.parent = room->numbers + (source - FROM) * rows;
    empty(column.latest, rows);
  }
  if (remembers) empty(column.slots, column.mask + 1);
  return column;
}

#endif
