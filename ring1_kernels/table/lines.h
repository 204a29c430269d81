/* Lines cut into fields, and the template of a table's rows: what stands between their fields. */
#ifndef TABLE_LINES_H
#define TABLE_LINES_H

enum { MOST_COLUMNS = 256, JSON_LINES = 256 };

/* What is seldom called does without loops in vectors: a module has 32 KiB. */
#define SMALL __attribute__((minsize, noinline))

/* Beside the delimiter: moments are cut into their numbers and words. */
enum { CUT_MOMENTS = 512 };

/* A stretch of bytes by its address, which a call block's are, too. */
typedef struct { u32 at, length; } Cell;

/* One line's fields, in order. `count` is above MOST_COLUMNS where there are more. */
typedef struct {
  u32 at, end, count;
  u32 moments;            /* how many were cut */
  bool cuts_moments;
  Cell fields[MOST_COLUMNS];
} Line;

static inline const u8 *bytes_of(Cell cell) { return AT(const u8, cell.at); }

static inline bool same(Cell a, Cell b) {
  if (a.length != b.length) return false;
  const u8 *left = bytes_of(a), *right = bytes_of(b);
  for (u32 i = 0; i < a.length; i++)
    if (left[i] != right[i]) return false;
  return true;
}

static inline u32 hash_bytes(u32 hash, Cell cell) {
  const u8 *bytes = bytes_of(cell);
  for (u32 i = 0; i < cell.length; i++) hash = (hash ^ bytes[i]) * 0x9e3779b1u;
  return hash;
}

static inline u32 line_end(const u8 *text, u32 at, u32 end) {
  while (at < end && text[at] != '\n') at++;
  return at;
}

static inline void put_part(Line *line, const u8 *text, u32 at, u32 end) {
  if (line->count < MOST_COLUMNS)
    line->fields[line->count] = (Cell){(u32)(uintptr_t)(text + at), end - at};
  line->count++;
}

/* ---- moments: dates and times ---- */

enum { CLOCK = 8, LONGEST_MOMENT = 40 };

static inline bool is_digit(u8 byte) { return byte >= '0' && byte <= '9'; }

static inline bool is_letter(u8 byte) { return (byte | 32) >= 'a' && (byte | 32) <= 'z'; }

static inline bool may_part_moments(u8 byte) {
  return byte == ':' || byte == '-' || byte == '/' || byte == '.' || byte == ',' || byte == '+' ||
         byte == ' ' || byte == '[' || byte == ']' || byte == '"';
}

/* Whether hours, minutes and seconds stand here, as in 10:05:03. */
static bool is_clock(const u8 *at) {
  for (u32 i = 0; i < CLOCK; i++)
    if (i % 3 == 2 ? at[i] != ':' : !is_digit(at[i])) return false;
  return true;
}

/* Whether a field is a time of day, with nothing beside it but what dates and zones are made of. */
static bool is_moment(const u8 *text, u32 at, u32 end) {
  if (end - at < CLOCK || end - at > LONGEST_MOMENT) return false;
  bool has_clock = false;
  for (; at < end; at++) {
    if (!is_digit(text[at]) && !is_letter(text[at]) && !may_part_moments(text[at])) return false;
    has_clock |= end - at >= CLOCK && is_clock(text + at);
  }
  return has_clock;
}

/* A moment's numbers and words; a single letter is no word, but parts others. */
static void put_moment(Line *line, const u8 *text, u32 at, u32 end) {
  line->moments++;
  for (u32 stop = at; at < end; at = stop) {
    while (stop < end && is_digit(text[stop])) stop++;
    bool is_part = stop != at;
    if (!is_part) {
      while (stop < end && is_letter(text[stop])) stop++;
      is_part = stop - at > 1;
    }
    if (is_part) put_part(line, text, at, stop);
    if (stop == at) stop++;
  }
}

static void put_field_of(Line *line, const u8 *text, u32 at, u32 end) {
  if (line->cuts_moments && is_moment(text, at, end)) put_moment(line, text, at, end);
  else put_part(line, text, at, end);
}

/* ---- fields between delimiters ---- */

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

/* Whether quotes and brackets may still hold fields of this line together: one that nothing closes
 * ends that, or a long line of them would be searched to its end again and again. */
typedef struct { bool quotes, brackets; } Pairs;

static inline u32 field_end(const u8 *text, u32 at, u32 end, u8 delimiter, Pairs *pairs) {
  u32 closed = 0;
  if (at < end && text[at] == '"' && pairs->quotes) {
    closed = quoted_end(text, at, end, delimiter);
    pairs->quotes = closed != 0;
  } else if (at < end && text[at] == '[' && pairs->brackets) {
    closed = bracketed_end(text, at, end, delimiter);
    pairs->brackets = closed != 0;
  }
  if (closed) return closed;
  while (at < end && text[at] != delimiter) at++;
  return at;
}

static void split_delimited(const u8 *text, Line *line, u8 delimiter) {
  Pairs pairs = {true, true};
  for (u32 at = line->at;; at++) {
    u32 stop = field_end(text, at, line->end, delimiter, &pairs);
    put_field_of(line, text, at, stop);
    if (stop == line->end || line->count > MOST_COLUMNS) return;
    at = stop;
  }
}

/* ---- values of JSON ---- */

/* Behind the string that begins at `at`; the line's end where it has none. */
static u32 string_end(const u8 *text, u32 at, u32 end) {
  for (at++; at < end; at++) {
    if (text[at] == '"') return at + 1;
    if (text[at] == '\\') at++;
  }
  return end;
}

/* Behind the list that begins at `at`, lists in it included. */
static u32 list_end(const u8 *text, u32 at, u32 end) {
  for (u32 depth = 0; at < end;) {
    if (text[at] == '"') {
      at = string_end(text, at, end);
      continue;
    }
    depth += text[at] == '[';
    depth -= text[at] == ']';
    at++;
    if (depth == 0) return at;
  }
  return end;
}

static inline bool is_scalar(u8 byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || byte == '-' ||
         byte == '+' || byte == '.' || byte == 'E';
}

/* Numbers, words, lists, and the insides of strings that are no names of members. */
static void split_json(const u8 *text, Line *line) {
  u32 end = line->end;
  for (u32 at = line->at; at < end && line->count <= MOST_COLUMNS;) {
    u32 stop = at;
    if (text[at] == '"') {
      stop = string_end(text, at, end);
      u32 next = stop;
      while (next < end && text[next] == ' ') next++;
      bool is_value = stop - at >= 2 && text[stop - 1] == '"' && (next == end || text[next] != ':');
      if (is_value) put_field_of(line, text, at + 1, stop - 1);
    } else if (text[at] == '[') {
      stop = list_end(text, at, end);
      put_field_of(line, text, at, stop);
    } else {
      while (stop < end && is_scalar(text[stop])) stop++;
      if (stop != at) put_field_of(line, text, at, stop);
    }
    at = stop == at ? at + 1 : stop;
  }
}

/* The fields of the line that begins at `at`. */
static void split(const u8 *text, u32 length, u32 at, u32 format, Line *line) {
  line->at = at;
  line->end = line_end(text, at, length);
  line->count = 0;
  line->moments = 0;
  line->cuts_moments = format >= CUT_MOMENTS;
  if (format % CUT_MOMENTS == JSON_LINES) split_json(text, line);
  else split_delimited(text, line, (u8)format);
}

/* ---- what stands between the fields ---- */

/* The piece before a field, or behind the last one. */
static inline Cell piece(const u8 *text, const Line *line, u32 number) {
  u32 from = (u32)(uintptr_t)(text + line->at), to = (u32)(uintptr_t)(text + line->end);
  if (number > 0) from = line->fields[number - 1].at + line->fields[number - 1].length;
  if (number < line->count) to = line->fields[number].at;
  return (Cell){from, to - from};
}

static bool fits(const u8 *text, const Line *template, const Line *line) {
  if (line->count != template->count) return false;
  for (u32 i = 0; i <= line->count; i++)
    if (!same(piece(text, template, i), piece(text, line, i))) return false;
  return true;
}

static u32 hash_of_pieces(const u8 *text, const Line *line) {
  u32 hash = line->count;
  for (u32 i = 0; i <= line->count; i++) hash = (hash_bytes(hash, piece(text, line, i)) ^ 256) * 3u;
  return hash ^ hash >> 15;
}

enum { KINDS = 256 };

/* The template whose lines seem to have the most fields; false where no line has two to
 * MOST_COLUMNS. Of kinds of lines that share a slot only the first is counted. */
static bool find_template(const u8 *text, u32 length, u32 format, Line *template) {
  u32 hashes[KINDS] = {}, counts[KINDS] = {}, first[KINDS] = {};
  u64 most = 0;
  u32 best = 0;
  for (u32 at = 0; at < length; at = template->end + 1) {
    split(text, length, at, format, template);
    if (template->count < 2 || template->count > MOST_COLUMNS) continue;
    u32 hash = hash_of_pieces(text, template), slot = hash % KINDS;
    if (counts[slot] == 0) {
      hashes[slot] = hash;
      first[slot] = at;
    }
    if (hashes[slot] != hash) continue;
    u64 fields = (u64)++counts[slot] * template->count;
    if (fields <= most) continue;
    most = fields;
    best = first[slot];
  }
  if (most) split(text, length, best, format, template);
  return most != 0;
}

#endif
