/* Which column each column is best told from: an estimate of bits, on the first rows. */
#ifndef TABLE_SOURCES_H
#define TABLE_SOURCES_H

/* Columns squared times rows that are looked at. */
static const u64 MOST_LOOKS = 1 << 27;

/* A field that was never met costs about so many bits a byte; all prices are in sixteenths. None
 * is written for less than an eighth of a bit. */
enum { NEW_BYTE = 5 * 16, NEW_FIELD = 4 * 16, LEAST_FIELD = 2, LEAST_SAVING = 256 * 16 };

typedef struct {
  u32 rows, columns;
  u32 *numbers;           /* of each column's fields, column by column */
  u32 *distinct;          /* how many numbers a column has */
  u16 *prices;            /* of each column's fields */
  u32 *savings;           /* of each column under each parent */
  u32 *latest, *counts;
} Survey;

/* 16 log2 of x >= 1, between powers of two on a straight line. */
static u32 log16(u32 x) {
  u32 whole = 31 - (u32)__builtin_clz(x);
  u32 rest = (u32)(((u64)(x - (1u << whole)) << 4) >> whole);
  return 16 * whole + rest;
}

static u32 surveyed_rows(u32 rows, u32 columns) {
  u64 most = MOST_LOOKS / ((u64)columns * columns);
  return rows < most ? rows : (u32)most;
}

/* Bytes of scratch for a survey, a multiple of 16. */
static u64 survey_bytes(u32 rows, u32 columns) {
  u64 cells = (u64)rows * columns;
  return 4 * cells + 4 * columns + 2 * cells + 4 * (u64)columns * columns + 8 * (u64)rows + 64;
}

static Survey lay_out_survey(u8 *room, u32 rows, u32 columns) {
  Survey s = {.rows = rows, .columns = columns};
  u32 cells = rows * columns;
  s.numbers = (u32 *)room;
  s.distinct = s.numbers + cells;
  s.savings = s.distinct + columns;
  s.latest = s.savings + columns * columns;
  s.counts = s.latest + rows;
  s.prices = (u16 *)(s.counts + rows);
  return s;
}

/* Number the fields of a column by their first appearance; how many numbers there are. */
static u32 number_fields(const Cell *cells, u32 rows, u32 *slots, u32 *numbers) {
  u32 mask = slots_for(rows) - 1, count = 0;
  empty(slots, mask + 1);
  for (u32 row = 0; row < rows; row++) {
    u32 found = find_or_place(cells, row, slots, mask);
    numbers[row] = found ? numbers[found - 1] : count++;
  }
  return count;
}

/* What a column's fields cost in a list of them: by how often each stands there. */
static u64 price_column(const Survey *s, u32 column, const Cell *cells) {
  const u32 *numbers = s->numbers + column * s->rows;
  u16 *prices = s->prices + column * s->rows;
  for (u32 i = 0; i < s->distinct[column]; i++) s->counts[i] = 0;
  for (u32 row = 0; row < s->rows; row++) s->counts[numbers[row]]++;
  u32 met = 0, all = log16(s->rows);
  u64 sum = 0;
  for (u32 row = 0; row < s->rows; row++) {
    bool is_new = numbers[row] == met;
    met += is_new;
    u32 price = all - log16(s->counts[numbers[row]]);
    if (price < LEAST_FIELD) price = LEAST_FIELD;
    if (is_new) price = NEW_FIELD + NEW_BYTE * (cells[row].length < 512 ? cells[row].length : 512);
    prices[row] = (u16)price;
    sum += price;
  }
  return sum;
}

static u64 price_of_hits(u32 hits, u32 misses) {
  if (hits == 0 || misses == 0) return 0;
  u32 all = log16(hits + misses);
  return (u64)hits * (all - log16(hits)) + (u64)misses * (all - log16(misses));
}

/* What a column costs whose fields are expected to be those that last stood beside their parent. */
static u64 price_under(const Survey *s, u32 column, u32 parent) {
  const u32 *numbers = s->numbers + column * s->rows, *keys = s->numbers + parent * s->rows;
  const u16 *prices = s->prices + column * s->rows;
  for (u32 i = 0; i < s->distinct[parent]; i++) s->latest[i] = 0;
  u32 hits = 0, misses = 0;
  u64 sum = 0;
  for (u32 row = 0; row < s->rows; row++) {
    u32 last = s->latest[keys[row]];
    s->latest[keys[row]] = numbers[row] + 1;
    if (last == numbers[row] + 1) {
      hits++;
      continue;
    }
    misses += last != 0;
    sum += prices[row];
  }
  return sum + price_of_hits(hits, misses);
}

static bool hits_alone(const Cell *cells, u32 row, u32 source, bool *told) {
  Cell next;
  u8 digits[MOST_CONTINUED];
  *told = source == COUNTER
              ? row > 1 && continued(cells[row - 2], cells[row - 1], digits + sizeof digits, &next)
              : row > 0;
  return *told && same(source == COUNTER ? next : cells[row - 1], cells[row]);
}

static u64 price_alone(const Survey *s, u32 column, const Cell *cells, u32 source) {
  const u16 *prices = s->prices + column * s->rows;
  u32 hits = 0, misses = 0;
  u64 sum = 0;
  for (u32 row = 0; row < s->rows; row++) {
    bool told, hit = hits_alone(cells, row, source, &told);
    hits += hit;
    misses += told && !hit;
    if (!hit) sum += prices[row];
  }
  return sum + price_of_hits(hits, misses);
}

/* The best source that is no other column; `least` is its price. */
static u32 source_alone(const Survey *s, u32 column, const Cell *cells, u64 *least) {
  u32 best = PLAIN;
  *least = price_column(s, column, cells);
  for (u32 source = ABOVE; source <= COUNTER; source++) {
    u64 price = price_alone(s, column, cells, source);
    if (price + LEAST_SAVING > *least) continue;
    best = source;
    *least = price;
  }
  return best;
}

static bool is_ancestor(const u32 *sources, u32 column, u32 of) {
  for (;;) {
    if (of == column) return true;
    if (sources[of] < FROM) return false;
    of = sources[of] - FROM;
  }
}

/* The pairs that save most first, as long as no column becomes its own ancestor. */
static void choose_parents(const Survey *s, u32 *sources) {
  u32 n = s->columns;
  for (;;) {
    u32 best = 0, child = 0, parent = 0;
    for (u32 c = 0; c < n; c++) {
      if (sources[c] >= FROM) continue;
      for (u32 p = 0; p < n; p++) {
        if (s->savings[c * n + p] <= best || is_ancestor(sources, c, p)) continue;
        best = s->savings[c * n + p];
        child = c;
        parent = p;
      }
    }
    if (best == 0) return;
    sources[child] = FROM + parent;
  }
}

/* `cells` has `stride` rows for each column, of which the survey's are looked at. */
static void choose_sources(Survey *s, const Cell *cells, u32 stride, u32 *slots, u32 *sources) {
  u32 n = s->columns;
  for (u32 c = 0; c < n; c++)
    s->distinct[c] = number_fields(cells + c * stride, s->rows, slots, s->numbers + c * s->rows);
  for (u32 c = 0; c < n; c++) {
    u64 alone;
    sources[c] = source_alone(s, c, cells + c * stride, &alone);
    for (u32 p = 0; p < n; p++) {
      u64 price = p == c ? alone : price_under(s, c, p);
      u64 saving = price + LEAST_SAVING < alone ? alone - price : 0;
      s->savings[c * n + p] = saving < 0xffffffffu ? (u32)saving : 0xffffffffu;
    }
  }
  choose_parents(s, sources);
}

#endif
