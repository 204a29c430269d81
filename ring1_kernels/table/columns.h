/* Columns of fields: equal ones get one number, and what is expected of a field is told here. */
#ifndef TABLE_COLUMNS_H
#define TABLE_COLUMNS_H

/* Where the expectation of a column's fields comes from; FROM + p is column p. */
enum { PLAIN = 0, ABOVE = 1, COUNTER = 2, FROM = 3 };

/* A shape has twice the source, and one more where fields that were written before are numbers. */
enum { MOST_NUMBERED = 65535 };

/* What a writer may write beside text: nothing, numbers of fields, lanes as well. */
enum { WITH_LANES = 2 };

/* Digits that are counted on from, and that this may come to. */
enum { MOST_DIGITS = 18, MOST_CONTINUED = 20 };

static inline u32 hash_of(Cell cell) {
  u32 hash = hash_bytes(cell.length, cell);
  return hash ^ hash >> 15;
}

/* Slots for finding equal fields among `rows`: twice as many at least, a power of two. */
static u32 slots_for(u32 rows) {
  u32 slots = 16;
  while (slots < 2 * (u64)rows) slots *= 2;
  return slots;
}

/* After so many slots a field counts as new: nobody can make a column that takes long to number. */
enum { MOST_PROBES = 32 };

/* The row, and 1, whose field is the same; 0 if the field is new, and then `row` takes its place. */
static inline u32 find_or_place(const Cell *cells, u32 row, u32 *slots, u32 mask) {
  u32 slot = hash_of(cells[row]) & mask;
  for (u32 probe = 0; probe < MOST_PROBES; probe++, slot = (slot + 1) & mask) {
    if (slots[slot] == 0) {
      slots[slot] = row + 1;
      return 0;
    }
    if (same(cells[slots[slot] - 1], cells[row])) return slots[slot];
  }
  return 0;
}

__attribute__((noinline)) static void empty(u32 *places, u32 count) {
  for (u32 i = 0; i < count; i++) places[i] = 0;
}

static bool number_of(Cell cell, u64 *value) {
  if (cell.length == 0 || cell.length > MOST_DIGITS) return false;
  const u8 *bytes = bytes_of(cell);
  *value = 0;
  for (u32 i = 0; i < cell.length; i++) {
    if (bytes[i] < '0' || bytes[i] > '9') return false;
    *value = 10 * *value + (bytes[i] - '0');
  }
  return true;
}

/* The number as far after `last` as that is after `before`, in as many digits as `last` has or
 * more; written so that it ends at `end`. False where there is none. */
__attribute__((noinline)) static bool continued(Cell before, Cell last, u8 *end, Cell *next) {
  u64 a, b;
  if (!number_of(before, &a) || !number_of(last, &b) || 2 * b < a) return false;
  u64 value = 2 * b - a;
  u8 *at = end;
  for (; value != 0; value /= 10) *--at = (u8)('0' + value % 10);
  while ((u32)(end - at) < last.length) *--at = '0';
  *next = (Cell){(u32)(uintptr_t)at, (u32)(end - at)};
  return true;
}

/* A column while its rows are met one after another: where what is expected comes from, and the
 * numbers of its fields. A field that is as expected has the number of the one it was expected from.
 */
typedef struct {
  u32 source;
  Cell *cells;
  const u32 *parent;      /* the numbers of the parent's fields */
  u32 *latest;            /* for each of them, the latest row and 1 */
  u32 *numbers, count;
  u32 *firsts;            /* for each number, its first row */
  u32 *slots, mask;       /* rows of fields that were written, by their hash */
} Column;

/* The row and 1 whose field is expected in a row; 0 where none is. Not for counters. */
static inline u32 expected(Column *column, u32 source, u32 row) {
  if (source == ABOVE) return row;
  if (source == PLAIN) return 0;
  u32 *latest = column->latest + column->parent[row], from = *latest;
  *latest = row + 1;
  return from;
}

static inline void take_new_number(Column *column, u32 row) {
  column->firsts[column->count] = row;
  column->numbers[row] = column->count++;
}

/* Whether a field equals one that was written before, whose number it takes; else it has its own. */
static inline bool take_number_of_equal(Column *column, u32 row) {
  u32 found = find_or_place(column->cells, row, column->slots, column->mask);
  if (found) column->numbers[row] = column->numbers[found - 1];
  else take_new_number(column, row);
  return found != 0;
}

/* The order in which columns are written: those without a parent, then the children of each. Fewer
 * than `columns` where some are their own ancestors. */
SMALL static u32 arrange(const u32 *sources, u32 columns, u32 *order) {
  u32 count = 0;
  for (u32 c = 0; c < columns; c++)
    if (sources[c] < FROM) order[count++] = c;
  for (u32 next = 0; next < count; next++)
    for (u32 c = 0; c < columns; c++)
      if (sources[c] == FROM + order[next]) order[count++] = c;
  return count;
}

#endif
