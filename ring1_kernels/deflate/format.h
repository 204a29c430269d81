/* What RFC 1951 says of symbols, and the settings under which a stream was made. */
#ifndef DEFLATE_FORMAT_H
#define DEFLATE_FORMAT_H

enum {
  LONGEST_CODE = 15,
  LONGEST_LENGTH_CODE = 7,
  END_OF_BLOCK = 256,
  LITERALS = 286,
  DISTANCES = 30,
  CODE_LENGTHS = 19,
  LEAST_MATCH = 3,
  MOST_MATCH = 258,
  STORED = 0,
  FIXED_CODES = 1,
  OWN_CODES = 2
};

/* The strategies of zlib, in its numbers. */
enum { USUAL, FILTERED, HUFFMAN_ONLY, RUNS, ONLY_FIXED };

/* The order in which a block gives the lengths of the code for lengths. */
static const u8 LENGTH_ORDER[CODE_LENGTHS] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                              11, 4,  12, 3, 13, 2, 14, 1, 15};

static inline u32 magnitude(u32 value) { return 31 - (u32)__builtin_clz(value); }

/* A match is told by its length - 3 and its distance - 1; each has a code and extra bits after it. */
static inline u32 length_extra(u32 code) { return code < 8 || code == 28 ? 0 : code / 4 - 1; }

static inline u32 distance_extra(u32 code) { return code < 4 ? 0 : code / 2 - 1; }

static inline u32 length_code(u32 over) {
  if (over < 8) return over;
  if (over == MOST_MATCH - LEAST_MATCH) return 28;
  u32 bits = magnitude(over);
  return 4 * (bits - 1) + (over >> (bits - 2) & 3);
}

static inline u32 distance_code(u32 over) {
  if (over < 4) return over;
  u32 bits = magnitude(over);
  return 2 * bits + (over >> (bits - 1) & 1);
}

/* The least length - 3 and distance - 1 of a code. */
static inline u32 length_base(u32 code) {
  if (code < 8) return code;
  return code == 28 ? MOST_MATCH - LEAST_MATCH : (4 + code % 4) << length_extra(code);
}

static inline u32 distance_base(u32 code) {
  return code < 4 ? code : (2 + code % 2) << distance_extra(code);
}

static inline u32 fixed_length(u32 symbol) {
  return symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8;
}

static inline u32 reversed(u32 code, u32 bits) {
  u32 turned = 0;
  for (; bits; bits--, code >>= 1) turned = turned << 1 | (code & 1);
  return turned;
}

/* ---- settings ---- */

typedef struct { u32 level, strategy, memory, window, is_gzip; } Setting;

/* Of the level there are four bits, of the strategy three, of the memory four, of the window four. */
static inline u32 packed(const Setting *s) {
  return s->level | s->strategy << 4 | s->memory << 7 | s->window << 11 | s->is_gzip << 15;
}

static inline bool unpack(u32 word, Setting *s) {
  *s = (Setting){word & 15, word >> 4 & 7, word >> 7 & 15, word >> 11 & 15, word >> 15};
  if (s->level < 1 || s->level > 9 || s->strategy > ONLY_FIXED) return false;
  if (s->memory < 1 || s->memory > 9 || s->window < 9 || s->is_gzip > 1) return false;
  return !s->is_gzip || (s->strategy == USUAL && s->memory == 9 && s->window == 15);
}

#endif
