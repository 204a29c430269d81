/* Columns of fields: equal ones get one number, and what is expected of a field is told here. */
#ifndef TABLE_COLUMNS_H
#define TABLE_COLUMNS_H

/* Where the expectation of a column's fields comes from; FROM + p is column p. */
enum { PLAIN = 0, ABOVE = 1, COUNTER = 2, FROM = 3 };

enum { MOST_DIGITS = 18 };

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

/* Number the fields of a column by their first appearance; how many numbers there are. */
static u32 number_fields(const Cell *cells, u32 rows, u32 *slots, u32 *numbers) {
  u32 mask = slots_for(rows) - 1, count = 0;
  for (u32 i = 0; i <= mask; i++) slots[i] = 0;
  for (u32 row = 0; row < rows; row++) {
    u32 found = find_or_place(cells, row, slots, mask);
    numbers[row] = found ? numbers[found - 1] : count++;
  }
  return count;
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
static bool continued(Cell before, Cell last, u8 *end, Cell *next) {
  u64 a, b;
  if (!number_of(before, &a) || !number_of(last, &b) || 2 * b < a) return false;
  u64 value = 2 * b - a;
  u8 *at = end;
  for (; value != 0; value /= 10) *--at = (u8)('0' + value % 10);
  while ((u32)(end - at) < last.length) *--at = '0';
  *next = (Cell){(u32)(uintptr_t)at, (u32)(end - at)};
  return true;
}

/* What a column is told from while its rows are met one after another. */
typedef struct {
  u32 source;
  const u32 *parent;      /* the numbers of the parent's fields */
  u32 *latest;            /* for each of them, the latest row and 1 */
  u8 digits[MOST_DIGITS + 2];
} Teller;

/* What is expected in a row, if anything is. `cells` has the rows before it. */
static inline bool expected(Teller *teller, const Cell *cells, u32 row, Cell *cell) {
  u32 from = row;         /* a row and 1 */
  if (teller->source == PLAIN) return false;
  if (teller->source == COUNTER)
    return row >= 2 &&
           continued(cells[row - 2], cells[row - 1], teller->digits + sizeof teller->digits, cell);
  if (teller->source >= FROM) {
    from = teller->latest[teller->parent[row]];
    teller->latest[teller->parent[row]] = row + 1;
  }
  if (from == 0) return false;
  *cell = cells[from - 1];
  return true;
}

/* The order in which columns are written: those without a parent, then the children of each. Fewer
 * than `columns` where some are their own ancestors. */
static u32 arrange(const u32 *sources, u32 columns, u32 *order) {
  u32 count = 0;
  for (u32 c = 0; c < columns; c++)
    if (sources[c] < FROM) order[count++] = c;
  for (u32 next = 0; next < count; next++)
    for (u32 c = 0; c < columns; c++)
      if (sources[c] == FROM + order[next]) order[count++] = c;
  return count;
}

#endif
