/* Fields written as lanes: decimal numbers in one form, or places in a list of texts. */
#ifndef TABLE_TYPES_H
#define TABLE_TYPES_H

/* How a column's written fields are written, where no number in `known` stands for them. */
enum { AS_TEXT = 0, AS_NUMBERS = 1, AS_RANKS = 2 };

/* Which zeros behind the point are written: all, none, or the first alone. */
enum { ALL_ZEROS = 0, NO_ZEROS = 1, FIRST_ZERO = 2 };

/* So many digits fit 63 bits; before the point and behind it there may be as many each. */
enum { MOST_PLACES = 18, MOST_AFFIX = 16, MOST_TYPED = 2 * MOST_AFFIX + 2 * MOST_PLACES + 2 };

/* A type's first number but for text: as + 2 order + 6 log of twice the halves of a lane, or 0. */
enum { ORDERS = 3, KINDS_OF_TYPE = 1 + 2 * ORDERS * 4 };

/* A type takes no more bytes, exceptions aside. */
enum { MOST_TYPE = 64 };

typedef struct {
  u32 as, order;
  u32 halves;             /* 16 bits each, of a lane: none where all are 0, or 1, 2, 4 */
  u32 count;              /* of the lanes */
  u64 base;
  u32 decimals, zeros, plus, digits;
  Cell prefix, suffix;
  u32 ranks;
  u32 exceptions;         /* fields that are text all the same */
  Numbers gaps;           /* fields before each */
} Type;

static inline u64 fold(u64 value) { return value << 1 ^ (u64)((int64_t)value >> 63); }

static inline u64 unfold(u64 folded) { return folded >> 1 ^ -(folded & 1); }

SMALL static u8 *put_long(u8 *to, u64 value) {
  for (; value >= 0x80; value >>= 7) *to++ = (u8)(value | 0x80);
  *to++ = (u8)value;
  return to;
}

SMALL static bool take_long(Numbers *from, u64 *value) {
  *value = 0;
  for (u32 shift = 0; shift < 70; shift += 7) {
    if (from->at == from->end) return false;
    u8 byte = *from->at++;
    *value |= (u64)(byte & 0x7f) << shift;
    if (shift == 63 && byte > 1) return false;
    if (!(byte & 0x80)) return byte != 0 || shift == 0;
  }
  return false;
}

/* ---- a number's text ---- */

typedef u64 Eight __attribute__((aligned(1)));

/* The eight digits of a number below 10^8, the first in the lowest byte: halves, then quarters, then
 * digits side by side. */
static inline u64 eight_digits(u32 number) {
  u64 x = number / 10000 | (u64)(number % 10000) << 32;
  u64 high = (x * 10486 >> 20) & 0x0000007f0000007full;
  x = high | (x - 100 * high) << 16;
  high = (x * 103 >> 10) & 0x000f000f000f000full;
  return high | (x - 10 * high) << 8;
}

static const u64 ZEROS = 0x3030303030303030ull, TEN_TO_8 = 100000000;

/* Digits with a point before the last `decimals`, of which there may be none; they stand in room of
 * their own up to `end`. A vector more is written. */
SMALL static u8 *put_pointed(u8 *to, const u8 *end, u32 count, u32 decimals) {
  const u8 *from = end - count;
  copy_bytes(to, from, count - decimals);
  to += count - decimals;
  if (decimals == 0) return to;
  *to++ = '.';
  copy_bytes(to, end - decimals, decimals);
  return to + decimals;
}

/* The same for up to eight digits, which are the last of eight. */
static inline u8 *put_few(u8 *to, u64 digits, u32 count, u32 decimals) {
  *(Eight *)to = digits >> 8 * (8 - count);
  to += count - decimals;
  if (decimals == 0) return to;
  *to = '.';
  *(Eight *)(to + 1) = digits >> 8 * (8 - decimals);
  return to + 1 + decimals;
}

/* A number's digits where they are many. */
SMALL static u8 *put_many(u8 *to, u64 left, const Type *type) {
  u8 room[16 + 24];
  u32 decimals = type->decimals, least = type->zeros == FIRST_ZERO;
  if (type->zeros != ALL_ZEROS)
    for (; decimals > least && left % 10 == 0; left /= 10) decimals--;
  u32 count = 0;
  for (u64 rest = left; rest; rest /= 10) count++;
  for (u32 i = 0; i < 16; i += 8) *(Eight *)(room + i) = ZEROS;
  for (u32 i = 40; i > 16; i -= 8, left /= TEN_TO_8)
    *(Eight *)(room + i - 8) = eight_digits((u32)(left % TEN_TO_8)) + ZEROS;
  if (count < decimals + type->digits) count = decimals + type->digits;
  return put_pointed(to, room + sizeof room, count, decimals);
}

/* A number's digits. */
static inline u8 *put_digits(u8 *to, u64 number, const Type *type) {
  if (number >= TEN_TO_8 || type->decimals + type->digits > 8) return put_many(to, number, type);
  u64 digits = eight_digits((u32)number);
  u32 decimals = type->decimals;
  if (type->zeros != ALL_ZEROS) {
    u32 least = type->zeros == FIRST_ZERO, ended = digits ? (u32)__builtin_clzll(digits) / 8 : 8;
    u32 dropped = ended < decimals - least ? ended : decimals - least;
    decimals -= dropped;
    digits = dropped < 8 ? digits << 8 * dropped : 0;
  }
  u32 count = digits ? 8 - (u32)__builtin_ctzll(digits) / 8 : 0, places = decimals + type->digits;
  return put_few(to, digits + ZEROS, count < places ? places : count, decimals);
}

/* Most are a byte, or none. */
SMALL static u8 *put_affix_text(u8 *to, Cell affix) {
  for (u32 i = 0; i < affix.length; i++) *to++ = bytes_of(affix)[i];
  return to;
}

/* The text of a field of a column of numbers; where it ends. There is room for MOST_TYPED bytes and
 * a vector. */
__attribute__((noinline)) static u8 *put_typed(u8 *to, u64 value, const Type *type) {
  bool is_negative = value >> 63;
  if (type->prefix.length) to = put_affix_text(to, type->prefix);
  *to = is_negative ? '-' : '+';
  to += is_negative | type->plus;
  to = put_digits(to, is_negative ? -value : value, type);
  return type->suffix.length ? put_affix_text(to, type->suffix) : to;
}

enum { TYPED_ROOM = MOST_TYPED + sizeof(Bytes) };

/* ---- a column's type ---- */

SMALL static u8 *put_affix(u8 *to, Cell affix) {
  to = put_number(to, affix.length);
  copy_bytes(to, bytes_of(affix), affix.length);
  return to + affix.length;
}

SMALL static bool take_affix(Numbers *from, Cell *affix) {
  u32 length;
  if (!take_number(from, &length) || length > MOST_AFFIX || length > (u32)(from->end - from->at))
    return false;
  *affix = (Cell){(u32)(uintptr_t)from->at, length};
  from->at += length;
  return true;
}

/* The type without its exceptions. */
SMALL static u8 *put_type(u8 *to, const Type *type) {
  if (type->as == AS_TEXT) return put_number(to, 0);
  u32 wide = (type->halves > 0) + (type->halves > 1) + (type->halves > 2);
  to = put_number(to, type->as + 2 * type->order + 2 * ORDERS * wide);
  to = put_long(put_number(to, type->count), fold(type->base));
  if (type->as == AS_RANKS) return put_number(to, type->ranks);
  to = put_number(to, 6 * type->decimals + 2 * type->zeros + type->plus);
  to = put_number(to, type->digits);
  return put_affix(put_affix(to, type->prefix), type->suffix);
}

/* The form of a column's numbers, and which of its fields are none. */
SMALL static bool take_form(Numbers *from, Type *type) {
  u32 form, gap;
  if (!take_number(from, &form) || !take_number(from, &type->digits)) return false;
  type->decimals = form / 6;
  type->zeros = form / 2 % 3;
  type->plus = form % 2;
  if (type->decimals > MOST_PLACES || type->digits == 0 || type->digits > MOST_PLACES) return false;
  if (type->decimals == 0 && type->zeros != ALL_ZEROS) return false;
  if (!take_affix(from, &type->prefix) || !take_affix(from, &type->suffix)) return false;
  if (!take_number(from, &type->exceptions)) return false;
  type->gaps.at = from->at;
  for (u32 i = 0; i < type->exceptions; i++)
    if (!take_number(from, &gap)) return false;
  type->gaps.end = from->at;
  return true;
}

SMALL static bool take_type(Numbers *from, Type *type) {
  u32 number;
  *type = (Type){};
  if (!take_number(from, &number) || number >= KINDS_OF_TYPE) return false;
  if (number == 0) return true;
  type->as = 1 + (number - 1) % 2;
  type->order = (number - 1) / 2 % ORDERS;
  u32 wide = (number - 1) / (2 * ORDERS);
  type->halves = wide ? 1u << (wide - 1) : 0;
  if (!take_number(from, &type->count) || !take_long(from, &type->base)) return false;
  type->base = unfold(type->base);
  return type->as == AS_RANKS ? take_number(from, &type->ranks) : take_form(from, type);
}

/* ---- lanes ---- */

/* Numbers from differences; the two before the first are the base. */
typedef struct { u64 last, before; } Steps;

static inline u64 stepped(Steps *steps, const Type *type, u64 lane) {
  if (type->order == 0) return type->base + lane;
  u64 value = steps->last + unfold(lane);
  if (type->order == 2) value += steps->last - steps->before;
  steps->before = steps->last;
  return steps->last = value;
}

static inline u64 step_to(Steps *steps, const Type *type, u64 value) {
  if (type->order == 0) return value - type->base;
  u64 step = value - steps->last;
  if (type->order == 2) step -= steps->last - steps->before;
  steps->before = steps->last;
  steps->last = value;
  return fold(step);
}

#endif
