/* Blocks as zlib writes them: which codes they take, and where one ends. */
#ifndef DEFLATE_BLOCKS_H
#define DEFLATE_BLOCKS_H

#include "codes.h"

enum { MOST_SYMBOLS = 1 << 15, MOST_WINDOW = 1 << 15, MOST_HASHES = 1 << 16, LONGEST_STORED = 0xffff };

/* gzip looks whether a block ought to end whenever it has so many symbols more. */
enum { LOOKED_AFTER = 1 << 12 };

typedef struct {
  Tree literals, distances, lengths;
  Heap heap;
  u32 symbols[MOST_SYMBOLS];   /* distance and literal, or length - 3 */
  u32 head[MOST_HASHES];       /* the last place of a hash, and the one before every place */
  u32 before[MOST_WINDOW];
} Room;

typedef struct {
  u8 *at, *end;
  u64 bits;
  u32 count;
} Writer;

/* A stream being made of plain[begin .. end). Places are counted in `plain`. */
typedef struct {
  Room *room;
  Setting setting;
  const u8 *plain;
  const u8 *like, *like_end;   /* what is left of what the stream is to be, if that is said */
  u32 end, at;
  u32 base, loaded;            /* what zlib would have in its window, which is twice the distance */
  u32 block, symbols;          /* where the block begins, and how many symbols it has */
  u32 full;                    /* how many it has at most */
  u32 hash_bits, mask;         /* of the chains; of places in the window */
  Writer to;
  bool failed;
} Maker;

static inline void put(Writer *to, u32 value, u32 bits) {
  to->bits |= (u64)value << to->count;
  to->count += bits;
  if (to->count < 32) return;
  u32 low = (u32)to->bits;
  __builtin_memcpy(to->at, &low, 4);
  to->at += 4;
  to->bits >>= 32;
  to->count -= 32;
}

/* What is left over, in whole bytes. */
static void put_rest(Writer *to) {
  for (u32 bits = 0; bits < to->count; bits += 8) *to->at++ = (u8)(to->bits >> bits);
  to->bits = to->count = 0;
}

/* A symbol of the block; whether the block is to end with it. */
static inline bool tell(Maker *m, u32 distance, u32 value) {
  Room *room = m->room;
  room->symbols[m->symbols++] = distance << 16 | value;
  if (distance) {
    room->literals.freq[END_OF_BLOCK + 1 + length_code(value)]++;
    room->distances.freq[distance_code(distance - 1)]++;
  } else {
    room->literals.freq[value]++;
  }
  if (m->symbols == m->full) return true;
  if (m->symbols % LOOKED_AFTER || !m->setting.is_gzip || m->setting.level < 3) return false;
  /* What the block would take by a rough guess, where few of its symbols are matches. */
  u32 bits = 8 * m->symbols, matches = 0;
  for (u32 i = 0; i < DISTANCES; i++) {
    bits += room->distances.freq[i] * (5 + distance_extra(i));
    matches += room->distances.freq[i];
  }
  return matches < m->symbols / 2 && bits / 8 < (m->at - m->block) / 2;
}

/* ---- the lengths of both codes, themselves coded ---- */

typedef void Told(Maker *m, u32 symbol, u32 extra, u32 bits);

static void count_length(Maker *m, u32 symbol, u32 extra, u32 bits) {
  (void)extra;
  (void)bits;
  m->room->lengths.freq[symbol]++;
}

static void put_length(Maker *m, u32 symbol, u32 extra, u32 bits) {
  const Tree *lengths = &m->room->lengths;
  put(&m->to, lengths->code[symbol], lengths->length[symbol]);
  put(&m->to, extra, bits);
}

/* Equal lengths are told as runs: after a length, of three to six; of zeros, of as many as 138. */
static void tell_lengths(Maker *m, const Tree *tree, Told *told) {
  for (u32 i = 0, before = FAILED; i <= tree->last;) {
    u32 length = tree->length[i], run = 1;
    u32 most = length == 0 ? 138 : length == before ? 6 : 7;
    u32 least = length == 0 || length == before ? 3 : 4;
    while (run < most && i + run <= tree->last && tree->length[i + run] == length) run++;
    i += run;
    if (run < least) {
      for (; run; run--) told(m, length, 0, 0);
    } else if (length == 0) {
      if (run <= 10) told(m, 17, run - 3, 3);
      else told(m, 18, run - 11, 7);
    } else {
      if (length != before) {
        told(m, length, 0, 0);
        run--;
      }
      told(m, 16, run - 3, 2);
    }
    before = length;
  }
}

/* How many lengths of the code for lengths are given. */
static u32 count_given(const Tree *lengths) {
  u32 given = CODE_LENGTHS;
  while (given > 4 && lengths->length[LENGTH_ORDER[given - 1]] == 0) given--;
  return given;
}

static void put_codes(Maker *m, u32 given) {
  const Room *room = m->room;
  put(&m->to, room->literals.last - END_OF_BLOCK, 5);
  put(&m->to, room->distances.last, 5);
  put(&m->to, given - 4, 4);
  for (u32 i = 0; i < given; i++) put(&m->to, room->lengths.length[LENGTH_ORDER[i]], 3);
  tell_lengths(m, &room->literals, put_length);
  tell_lengths(m, &room->distances, put_length);
}

/* ---- blocks ---- */

static void fix_codes(Room *room) {
  for (u32 i = 0; i < LITERALS; i++) room->literals.length[i] = (u8)fixed_length(i);
  for (u32 i = 0; i < DISTANCES; i++) {
    room->distances.length[i] = 5;
    room->distances.code[i] = (u16)reversed(i, 5);
  }
  /* Two symbols that never come have codes, too. */
  for (u32 i = 0; i < LITERALS; i++) {
    u32 code = i < 144 ? 0x30 + i : i < 256 ? 0x190 + i - 144 : i < 280 ? i - 256 : 0xc0 + i - 280;
    room->literals.code[i] = (u16)reversed(code, fixed_length(i));
  }
}

static void put_symbols(Maker *m) {
  const Tree *literals = &m->room->literals, *distances = &m->room->distances;
  for (u32 i = 0; i < m->symbols; i++) {
    u32 value = m->room->symbols[i] & 0xffff, distance = m->room->symbols[i] >> 16;
    if (distance == 0) {
      put(&m->to, literals->code[value], literals->length[value]);
      continue;
    }
    u32 code = length_code(value), symbol = END_OF_BLOCK + 1 + code;
    put(&m->to, literals->code[symbol], literals->length[symbol]);
    put(&m->to, value - length_base(code), length_extra(code));
    code = distance_code(--distance);
    put(&m->to, distances->code[code], distances->length[code]);
    put(&m->to, distance - distance_base(code), distance_extra(code));
  }
  put(&m->to, literals->code[END_OF_BLOCK], literals->length[END_OF_BLOCK]);
}

static void put_stored(Maker *m, u32 length, bool last) {
  put(&m->to, STORED << 1 | last, 3);
  put_rest(&m->to);
  put(&m->to, length | (length ^ 0xffff) << 16, 32);
  copy_bytes(m->to.at, m->plain + m->block, length);
  m->to.at += length;
}

static void begin_block(Maker *m) {
  Room *room = m->room;
  for (u32 i = 0; i < LITERALS; i++) room->literals.freq[i] = 0;
  for (u32 i = 0; i < DISTANCES; i++) room->distances.freq[i] = 0;
  for (u32 i = 0; i < CODE_LENGTHS; i++) room->lengths.freq[i] = 0;
  room->literals.freq[END_OF_BLOCK] = 1;
  m->block = m->at;
  m->symbols = 0;
}

static inline u32 whole_bytes(u32 bits) { return (bits + 3 + 7) >> 3; }

/* Write the block in the form that takes least. It fails where the stream is not what it is to be,
 * or has no room. */
static void end_block(Maker *m, bool last) {
  Room *room = m->room;
  Price price = {}, lengths = {};
  build(&room->literals, &room->heap, &LITERAL_SHAPE, &price);
  build(&room->distances, &room->heap, &DISTANCE_SHAPE, &price);
  tell_lengths(m, &room->literals, count_length);
  tell_lengths(m, &room->distances, count_length);
  build(&room->lengths, &room->heap, &LENGTH_SHAPE, &lengths);
  u32 given = count_given(&room->lengths), stored = m->at - m->block;
  u32 own = whole_bytes(price.own + lengths.own + 3 * given + 14), fixed = whole_bytes(price.fixed);
  u32 least = fixed <= own || m->setting.strategy == ONLY_FIXED ? fixed : own;
  /* What has left the window cannot be stored any more. */
  bool is_stored = stored + 4 <= least && m->block >= m->base && stored <= LONGEST_STORED;
  u8 *begin = m->to.at;
  /* Four bytes are left over from the block before at most, and a stored one becomes whole bytes. */
  if ((u32)(m->to.end - begin) < (is_stored ? stored : least) + 10) {
    m->failed = true;
    return;
  }
  if (is_stored) {
    put_stored(m, stored, last);
  } else if (fixed == least) {
    put(&m->to, FIXED_CODES << 1 | last, 3);
    fix_codes(room);
    put_symbols(m);
  } else {
    put(&m->to, OWN_CODES << 1 | last, 3);
    put_codes(m, given);
    put_symbols(m);
  }
  if (last) put_rest(&m->to);
  if (m->like)
    for (; begin != m->to.at && !m->failed; begin++)
      m->failed = m->like == m->like_end || *begin != *m->like++;
  begin_block(m);
}

#endif
