/* Lines and their fields. A field that begins with a quote or a bracket reaches to the one that
 * closes it; where none does, it ends at the next delimiter like any other. */
#ifndef TABLE_LINES_H
#define TABLE_LINES_H

enum { MOST_COLUMNS = 256 };

/* A field by its address, which a call block's are, too. */
typedef struct { u32 at, length; } Cell;

static inline u32 line_end(const u8 *text, u32 at, u32 end) {
  while (at < end && text[at] != '\n') at++;
  return at;
}

/* Where the quoted field ends, or 0: a quote closes it that is followed by a delimiter or the line's
 * end and is not itself one of an even number of quotes side by side, which stand for themselves. */
static u32 quoted_end(const u8 *text, u32 at, u32 end, u8 delimiter) {
  at++;
  while (at < end) {
    if (text[at] != '"') {
      at++;
      continue;
    }
    u32 run = at;
    while (run < end && text[run] == '"') run++;
    if ((run - at) % 2 == 1 && (run == end || text[run] == delimiter)) return run;
    at = run;
  }
  return 0;
}

static u32 bracketed_end(const u8 *text, u32 at, u32 end, u8 delimiter) {
  for (at++; at < end; at++)
    if (text[at] == ']' && (at + 1 == end || text[at + 1] == delimiter)) return at + 1;
  return 0;
}

static inline u32 field_end(const u8 *text, u32 at, u32 end, u8 delimiter) {
  u32 closed = 0;
  if (at < end && text[at] == '"') closed = quoted_end(text, at, end, delimiter);
  else if (at < end && text[at] == '[') closed = bracketed_end(text, at, end, delimiter);
  if (closed) return closed;
  while (at < end && text[at] != delimiter) at++;
  return at;
}

/* How many fields a line has, at most one more than a table may have columns; `cells` may be 0. */
static u32 split(const u8 *text, u32 at, u32 end, u8 delimiter, Cell *cells, u32 stride) {
  for (u32 count = 0;; count++) {
    if (count > MOST_COLUMNS) return count;
    u32 stop = field_end(text, at, end, delimiter);
    if (cells) cells[count * stride] = (Cell){(u32)(uintptr_t)(text + at), stop - at};
    if (stop == end) return count + 1;
    at = stop + 1;
  }
}

/* The number of fields that covers the most, as lines times fields; 0 where no line has two. */
static u32 common_width(const u8 *text, u32 length, u8 delimiter, u32 *lines) {
  u32 of_width[MOST_COLUMNS + 2] = {};
  *lines = 0;
  for (u32 at = 0; at < length; ++*lines) {
    u32 end = line_end(text, at, length);
    of_width[split(text, at, end, delimiter, 0, 0)]++;
    at = end + 1;
  }
  u32 best = 0;
  for (u32 width = 2; width <= MOST_COLUMNS; width++)
    if (of_width[width] * width > (best ? of_width[best] * best : 0)) best = width;
  return best;
}

#endif
