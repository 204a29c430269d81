/* Which columns are written as lanes: those that seem to take fewer bits so than as text. */
#ifndef TABLE_TYPING_H
#define TABLE_TYPING_H

/* Fewer fields are not worth a type; no more than one in so many may be an exception. */
enum { LEAST_TYPED = 16, PART_EXCEPTIONS = 8 };

/* A type is to save one bit in so many. */
enum { PART_SAVED = 16 };

/* Estimates, in sixteenths of a bit: a new text's first bytes, its further ones, its end; that a
 * field is an exception; a symbol of a table. Digits are at most log2(10) bits each, and longer
 * ones mostly what rounding left. */
enum { FIRST_BYTES = 10, A_FIRST = 56, A_FURTHER = 16, AN_END = 16, AN_EXCEPTION = 96, A_SYMBOL = 80 };

/* Of one column: the fields that were not expected, and room for what they may be. */
typedef struct {
  const Column *column;
  const u8 *status;
  u32 rows, written;
  u32 *fields;            /* their rows */
  u64 *values, *lanes;
  int64_t *keys;
  u32 *ranks, *sorted, *spare;
} Typing;

static u64 typing_bytes(u32 rows) { return 40 * (u64)rows + 16; }

SMALL static Typing lay_out_typing(u8 *at, const Column *column, u32 rows, const u8 *status) {
  Typing t = {.column = column, .status = status, .rows = rows};
  t.values = (u64 *)(((uintptr_t)at + 7) / 8 * 8);
  t.lanes = t.values + rows;
  t.keys = (int64_t *)(t.lanes + rows);
  t.fields = (u32 *)(t.keys + rows);
  t.ranks = t.fields + rows;
  t.sorted = t.ranks + rows;
  t.spare = t.sorted + rows;
  for (u32 row = 0; row < rows; row++)
    if (status[row] != TOLD) t.fields[t.written++] = row;
  return t;
}

/* ---- estimates ---- */

SMALL static u64 entropy16(const u32 *counts, u32 symbols, u32 all) {
  u64 bits = 0;
  for (u32 i = 0; i < symbols; i++)
    if (counts[i]) bits += (u64)counts[i] * (log16(all) - log16(counts[i])) + A_SYMBOL;
  return bits;
}

/* What lanes take: each byte for itself, or how many bits each has, and these. */
SMALL static u64 price_lanes(const u64 *lanes, u32 count) {
  u32 planes[8][256] = {}, lengths[65] = {};
  u64 magnitudes = 0, bytes = 0;
  for (u32 i = 0; i < count; i++) {
    u64 lane = lanes[i];
    u32 bits = lane ? 64 - (u32)__builtin_clzll(lane) : 0;
    lengths[bits]++;
    magnitudes += bits ? 16 * (bits - 1) : 0;
    for (u32 k = 0; k < 8; k++) planes[k][lane >> 8 * k & 255]++;
  }
  magnitudes += entropy16(lengths, 65, count);
  for (u32 k = 0; k < 8; k++) bytes += entropy16(planes[k], 256, count);
  return magnitudes < bytes ? magnitudes : bytes;
}

static u32 price_text(u32 length) {
  u32 first = length < FIRST_BYTES ? length : FIRST_BYTES;
  return A_FIRST * first + A_FURTHER * (length - first) + AN_END;
}

/* What the fields take as text, each written once. */
SMALL static u64 price_texts(const Typing *t) {
  const u32 *firsts = t->column->firsts, *numbers = t->column->numbers;
  u32 *counts = t->spare;
  u64 bits = 0;
  for (u32 i = 0; i < t->written; i++) counts[numbers[t->fields[i]]] = 0;
  for (u32 i = 0; i < t->written; i++) counts[numbers[t->fields[i]]]++;
  for (u32 i = 0; i < t->written; i++) {
    u32 row = t->fields[i], number = numbers[row];
    bits += log16(t->written) - log16(counts[number]);
    if (firsts[number] == row) bits += price_text(t->column->cells[row].length);
  }
  return bits;
}

/* ---- values to lanes ---- */

static void set_base(const u64 *values, u32 count, Type *type) {
  int64_t least = (int64_t)values[0];
  for (u32 i = 0; i < count && type->order == 0; i++)
    if ((int64_t)values[i] < least) least = (int64_t)values[i];
  type->base = (u64)least;
}

SMALL static void make_lanes(const u64 *values, u32 count, Type *type, u64 *lanes) {
  set_base(values, count, type);
  Steps steps = {type->base, type->base};
  u64 all = 0;
  for (u32 i = 0; i < count; i++) all |= lanes[i] = step_to(&steps, type, values[i]);
  type->halves = all == 0 ? 0 : all >> 16 == 0 ? 1 : all >> 32 == 0 ? 2 : 4;
  type->count = count;
}

/* The price under the best order, which the type gets. */
SMALL static u64 choose_order(const u64 *values, u32 count, Type *type, u64 *lanes) {
  u64 least = ~(u64)0;
  u32 best = 0;
  for (type->order = 0; type->order < ORDERS; type->order++) {
    make_lanes(values, count, type, lanes);
    u64 price = price_lanes(lanes, count);
    if (price >= least) continue;
    least = price;
    best = type->order;
  }
  type->order = best;
  make_lanes(values, count, type, lanes);
  return least;
}

/* ---- numbers ---- */

/* A number's parts in a text, by their places. */
typedef struct { u32 first, point, end; bool is_negative, is_number; } Parts;

SMALL static Parts parts_of(const u8 *text, u32 at, u32 end) {
  Parts parts = {};
  if (at < end && (text[at] == '-' || text[at] == '+')) parts.is_negative = text[at++] == '-';
  parts.first = at;
  while (at < end && is_digit(text[at])) at++;
  parts.point = at;
  if (at + 1 < end && text[at] == '.' && is_digit(text[at + 1]))
    for (at++; at < end && is_digit(text[at]);) at++;
  parts.end = at;
  parts.is_number = parts.point != parts.first;
  return parts;
}

static u32 decimals_of(Parts parts) { return parts.end > parts.point ? parts.end - parts.point - 1 : 0; }

/* The number that a field stands for; false where it does not become the same text again. */
SMALL static bool value_of(Cell cell, const Type *type, u64 *value) {
  u32 around = type->prefix.length + type->suffix.length;
  if (cell.length <= around) return false;
  const u8 *text = bytes_of(cell);
  u32 end = cell.length - type->suffix.length;
  Parts parts = parts_of(text, type->prefix.length, end);
  u32 decimals = decimals_of(parts);
  if (!parts.is_number || parts.end != end || decimals > type->decimals) return false;
  if (parts.point - parts.first + type->decimals > MOST_PLACES) return false;
  *value = 0;
  for (u32 at = parts.first; at < end; at++)
    if (at != parts.point) *value = 10 * *value + (text[at] - '0');
  for (; decimals < type->decimals; decimals++) *value *= 10;
  if (parts.is_negative) *value = -*value;
  u8 room[TYPED_ROOM], *stop = put_typed(room, *value, type);
  return same((Cell){(u32)(uintptr_t)room, (u32)(stop - room)}, cell);
}

/* What stands around the numbers, as in a field from the middle. */
SMALL static void set_affixes(const Typing *t, Type *type) {
  Cell cell = t->column->cells[t->fields[t->written / 2]];
  const u8 *text = bytes_of(cell);
  u32 at = 0;
  while (at < cell.length && !is_digit(text[at])) at++;
  if (at == cell.length) return;
  if (at > 0 && (text[at - 1] == '-' || text[at - 1] == '+')) at--;
  u32 end = parts_of(text, at, cell.length).end;
  if (at > MOST_AFFIX || cell.length - end > MOST_AFFIX) return;
  type->prefix = (Cell){cell.at, at};
  type->suffix = (Cell){cell.at + end, cell.length - end};
}

/* How a column's numbers look: by how many decimals, so many fields, and of these so many with a 0
 * at the end. */
typedef struct {
  u32 numbers, decimals[MOST_PLACES + 1], ended[MOST_PLACES + 1];
  u32 padded, plus, digits;
} Looks;

SMALL static void look(const Typing *t, const Type *type, Looks *looks) {
  for (u32 i = 0; i < t->written; i++) {
    Cell cell = t->column->cells[t->fields[i]];
    if (cell.length <= type->prefix.length + type->suffix.length) continue;
    const u8 *text = bytes_of(cell);
    Parts parts = parts_of(text, type->prefix.length, cell.length - type->suffix.length);
    u32 decimals = decimals_of(parts), digits = parts.point - parts.first;
    if (!parts.is_number || decimals > MOST_PLACES || digits > MOST_PLACES) continue;
    looks->numbers++;
    looks->decimals[decimals]++;
    looks->ended[decimals] += text[parts.end - 1] == '0';
    looks->plus += parts.first > type->prefix.length && text[parts.first - 1] == '+';
    if (digits == 1 || text[parts.first] != '0') continue;
    looks->padded++;
    looks->digits = digits;
  }
}

/* The least number of decimals that so large a part of the fields has, or fewer. */
static u32 decimals_for(const Looks *looks, u32 part) {
  u32 met = 0, decimals = 0;
  for (; decimals < MOST_PLACES; decimals++) {
    met += looks->decimals[decimals];
    if ((u64)met * part >= (u64)looks->numbers * (part - 1)) break;
  }
  return decimals;
}

/* The price of the fields as numbers of this form, whose exceptions are counted. */
SMALL static u64 price_numbers(const Typing *t, Type *type) {
  u64 bits = 0;
  u32 count = 0;
  type->exceptions = 0;
  for (u32 i = 0; i < t->written; i++) {
    Cell cell = t->column->cells[t->fields[i]];
    if (value_of(cell, type, t->values + count)) {
      count++;
      continue;
    }
    if (++type->exceptions > t->written / PART_EXCEPTIONS) return ~(u64)0;
    bits += price_text(cell.length) + AN_EXCEPTION;
  }
  return bits + choose_order(t->values, count, type, t->lanes);
}

/* The best form of a column's numbers; its price, or that of none. */
SMALL static u64 type_numbers(const Typing *t, Type *best) {
  static const u32 parts[] = {8, 64, 1u << 20};
  Type type = {.as = AS_NUMBERS, .digits = 1};
  Looks looks = {};
  u64 least = ~(u64)0;
  set_affixes(t, &type);
  look(t, &type, &looks);
  if (looks.numbers < t->written - t->written / PART_EXCEPTIONS) return least;
  if (looks.padded >= looks.numbers / PART_EXCEPTIONS && looks.padded) type.digits = looks.digits;
  type.plus = looks.plus != 0;
  u32 tried = MOST_PLACES + 1;
  for (u32 i = 0; i < sizeof parts / sizeof *parts; i++) {
    type.decimals = decimals_for(&looks, parts[i]);
    if (type.decimals == tried) continue;
    tried = type.decimals;
    u32 full = looks.decimals[tried];
    bool has_all = tried == 0 || full >= looks.numbers - looks.numbers / PART_EXCEPTIONS;
    type.zeros = looks.ended[1] > looks.decimals[0] ? FIRST_ZERO : NO_ZEROS;
    if (has_all && (tried == 0 || looks.ended[tried] || full == looks.numbers)) type.zeros = ALL_ZEROS;
    u64 price = price_numbers(t, &type);
    if (price >= least) continue;
    least = price;
    *best = type;
  }
  return least;
}

/* ---- ranks ---- */

/* Numbers before other texts, in their order; parts of 10^-9 are as fine as it goes. */
SMALL static int64_t key_of(Cell cell) {
  const u8 *text = bytes_of(cell);
  Parts parts = parts_of(text, 0, cell.length);
  if (!parts.is_number || parts.point - parts.first > 9) return INT64_MAX;
  int64_t key = 0;
  u32 at = parts.first;
  for (; at < parts.point; at++) key = 10 * key + (text[at] - '0');
  for (u32 i = 0; i < 9; i++) {
    bool has_digit = ++at < parts.end;
    key = 10 * key + (has_digit ? text[at] - '0' : 0);
  }
  return parts.is_negative ? -key : key;
}

/* Merge stretches of `length` sorted places to stretches twice as long. */
SMALL static void merge(const int64_t *keys, const u32 *from, u32 *to, u32 count, u32 length) {
  for (u64 start = 0; start < count; start += 2 * (u64)length) {
    u64 middle = start + length < count ? start + length : count;
    u64 end = middle + length < count ? middle + length : count;
    u64 a = start, b = middle;
    for (u64 at = start; at < end; at++) {
      bool takes_left = b == end || (a < middle && keys[from[a]] <= keys[from[b]]);
      to[at] = from[takes_left ? a++ : b++];
    }
  }
}

/* The numbers of the written fields in the order of their keys are left in `sorted`. */
SMALL static u32 sort_texts(Typing *t) {
  const Column *column = t->column;
  u32 count = 0;
  for (u32 i = 0; i < t->written; i++) {
    u32 row = t->fields[i], number = column->numbers[row];
    if (column->firsts[number] != row) continue;
    t->sorted[count++] = number;
    t->keys[number] = key_of(column->cells[row]);
  }
  for (u32 length = 1; length < count; length *= 2) {
    merge(t->keys, t->sorted, t->spare, count, length);
    u32 *sorted = t->spare;
    t->spare = t->sorted;
    t->sorted = sorted;
  }
  for (u32 i = 0; i < count; i++) t->ranks[t->sorted[i]] = i;
  return count;
}

static void set_ranks(Typing *t) {
  for (u32 i = 0; i < t->written; i++) t->values[i] = t->ranks[t->column->numbers[t->fields[i]]];
}

/* The price of the fields as places in a sorted list of their texts, or that of none. */
SMALL static u64 type_ranks(Typing *t, Type *type) {
  *type = (Type){.as = AS_RANKS};
  if (t->column->source == COUNTER) return ~(u64)0;
  type->ranks = sort_texts(t);
  if (type->ranks > t->written / 2) return ~(u64)0;
  u64 bits = 0;
  for (u32 i = 0; i < type->ranks; i++)
    bits += price_text(t->column->cells[t->column->firsts[t->sorted[i]]].length);
  set_ranks(t);
  return bits + choose_order(t->values, t->written, type, t->lanes);
}

/* There is room for lanes that take no more than the text in whose place they are. */
static u64 bytes_of_text(const Typing *t) {
  u64 bytes = t->written;
  for (u32 i = 0; i < t->written; i++) bytes += t->column->cells[t->fields[i]].length;
  return bytes;
}

/* How a column's fields are written: as text, unless something is shorter by far. */
SMALL static Type choose_type(Typing *t) {
  Type numbers = {}, ranks = {};
  if (t->written < LEAST_TYPED) return (Type){};
  u64 as_text = price_texts(t), least = as_text - as_text / PART_SAVED;
  u64 as_numbers = type_numbers(t, &numbers), as_ranks = type_ranks(t, &ranks);
  Type best = as_numbers <= as_ranks ? numbers : ranks;
  bool saves = as_numbers < least || as_ranks < least;
  return saves && 2 * (u64)best.halves * best.count <= bytes_of_text(t) ? best : (Type){};
}

/* ---- writing ---- */

/* The lowest halves of all lanes, then the next ones. */
static u8 *put_lanes(u8 *to, const Type *type, const u64 *lanes) {
  for (u32 k = 0; k < type->halves; k++)
    for (u32 i = 0; i < type->count; i++, to += 2) {
      to[0] = (u8)(lanes[i] >> 16 * k);
      to[1] = (u8)(lanes[i] >> (16 * k + 8));
    }
  return to;
}

SMALL static void write_typed(Typing *t, Type *type, Writer *to) {
  const Column *column = t->column;
  u32 count = 0, before = 0;
  to->type = put_type(to->type, type);
  if (type->as == AS_NUMBERS) to->type = put_number(to->type, type->exceptions);
  for (u32 i = 0; i < type->ranks; i++)
    to->cell = put_cell(to->cell, column->cells[column->firsts[t->sorted[i]]]);
  if (type->as == AS_RANKS) {
    set_ranks(t);
    count = t->written;
  }
  for (u32 i = 0; type->as == AS_NUMBERS && i < t->written; i++) {
    Cell cell = column->cells[t->fields[i]];
    if (value_of(cell, type, t->values + count)) {
      count++;
      continue;
    }
    to->type = put_number(to->type, count - before);
    to->cell = put_cell(to->cell, cell);
    before = count;
  }
  make_lanes(t->values, count, type, t->lanes);
  to->lane = put_lanes(to->lane, type, t->lanes);
}

#endif
