/* Columns written: fields that were expected are counted, the others put into streams. */
#ifndef TABLE_TELLING_H
#define TABLE_TELLING_H

static u8 *put_cell(u8 *to, Cell cell) {
  copy_bytes(to, bytes_of(cell), cell.length);
  to[cell.length] = '\n';
  return to + cell.length + 1;
}

/* What is written of a row: nothing, a field, or a field that was written before. */
enum { TOLD, FRESH, AGAIN };

typedef struct {
  u8 *run, *cell, *known, *type, *lane;
  u32 hits;               /* since the last miss */
} Writer;

/* Tell every row of a column; how many fields are fresh, and how many were written before. */
__attribute__((noinline)) static void tell(Column *column, u32 rows, u8 *status, Writer *to, u32 *written) {
  u8 digits[MOST_CONTINUED];
  for (u32 row = 0; row < rows; row++) {
    Cell *cells = column->cells, cell;
    u32 from = 0;
    bool told;
    if (column->source == COUNTER) {
      told = row > 1 && continued(cells[row - 2], cells[row - 1], digits + sizeof digits, &cell);
    } else {
      from = expected(column, column->source, row);
      told = from != 0;
      if (told) cell = cells[from - 1];
    }
    bool hit = told && same(cell, cells[row]);
    if (hit) {
      if (from) column->numbers[row] = column->numbers[from - 1];
      else take_new_number(column, row);
      to->hits++;
      status[row] = TOLD;
      continue;
    }
    if (told) {
      to->run = put_number(to->run, to->hits);
      to->hits = 0;
    }
    status[row] = take_number_of_equal(column, row) ? AGAIN : FRESH;
    written[status[row]]++;
  }
}

/* Fields that were not expected. Of a numbered column those are numbers that stood there before. */
SMALL static void write(const Column *column, u32 rows, const u8 *status, bool numbered, Writer *to) {
  for (u32 row = 0; row < rows; row++) {
    if (status[row] == TOLD) continue;
    bool again = numbered && status[row] == AGAIN;
    if (!again) to->cell = put_cell(to->cell, column->cells[row]);
    if (!numbered) continue;
    u32 number = again ? column->numbers[row] + 1 : 0;
    *to->known++ = (u8)number;
    *to->known++ = (u8)(number >> 8);
  }
}

#endif
