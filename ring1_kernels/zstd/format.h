/* The numbers of the format, as RFC 8878 gives them; spec.md says which frames are taken. */
#ifndef ZSTD_FORMAT_H
#define ZSTD_FORMAT_H

#include "../abi.h"

enum {
  MAX_LENGTH = 1 << 30,
  MAX_BLOCK = 1 << 17,
  SLACK = 32,              /* copies go by sixteen bytes, so they write past what they copy */
};

#define MAGIC 0xfd2fb528u
#define SKIPPABLE 0x184d2a50u   /* and the fifteen numbers after it */

enum { RAW_BLOCK = 0, RLE_BLOCK = 1, COMPRESSED_BLOCK = 2 };
enum { RAW_LITERALS = 0, RLE_LITERALS = 1, COMPRESSED_LITERALS = 2, TREELESS_LITERALS = 3 };
enum { PREDEFINED = 0, ONE_SYMBOL = 1, OWN_TABLE = 2, REPEATED = 3 };

/* The three alphabets of sequences, in the order of their tables in a block. */
enum { LITERAL_LENGTHS = 0, OFFSETS = 1, MATCH_LENGTHS = 2 };

enum {
  MAX_HUFFMAN_BITS = 11,
  MAX_WEIGHT_LOG = 6,
  MAX_SEQUENCE_LOG = 9,
  MAX_OFFSET_CODE = 31,
};

typedef struct {
  u8 symbols, max_log, default_log, default_symbols;
} Alphabet;

static const Alphabet ALPHABET[3] = {{36, 9, 6, 36}, {32, 8, 5, 29}, {53, 9, 6, 53}};

/* -1 is a symbol of less than one slot: it gets a single one at the table's end. */
static const signed char DEFAULT_COUNTS[3][53] = {
    {4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2,
     2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1},
    {1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1},
    {1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1},
};

static const u32 LITERAL_LENGTH_BASE[36] = {
    0,  1,  2,  3,  4,  5,  6,  7,  8,  9,   10,  11,  12,   13,   14,   15,    16,    18,
    20, 22, 24, 28, 32, 40, 48, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
static const u8 LITERAL_LENGTH_EXTRA[36] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  1, 1,
                                            1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const u32 MATCH_LENGTH_BASE[53] = {
    3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,  16,  17,  18,   19,   20,
    21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33,  34,  35,  37,   39,   41,
    43, 47, 51, 59, 67, 83, 99, 131, 259, 515, 1027, 2051, 4099, 8195, 16387, 32771, 65539};
static const u8 MATCH_LENGTH_EXTRA[53] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0,  0,  0,  0,
                                          0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  1,  1,  1,  1,
                                          2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

/* What the three recent offsets are at the start of a frame. */
#define FIRST_RECENT {1, 4, 8}

typedef u16 Word16 __attribute__((aligned(1)));
typedef u32 Word32 __attribute__((aligned(1)));
typedef u64 Word64 __attribute__((aligned(1)));

static inline u32 load16(const u8 *at) { return *(const Word16 *)at; }
static inline u32 load32(const u8 *at) { return *(const Word32 *)at; }
static inline u64 load64(const u8 *at) { return *(const Word64 *)at; }

static inline u32 highest_bit(u32 value) { return 31 - (u32)__builtin_clz(value); }

#endif
