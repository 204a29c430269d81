/* What is foreseen of the next byte: the one a repeat leads to, then its bits by their contexts. */
#ifndef LZ_MIX_MODEL_H
#define LZ_MIX_MODEL_H

#include "mix.h"
#include "range.h"

enum {
  LONG_HASH = 12,          /* repeats are looked for by so many bytes before, and by so many */
  SHORT_HASH = 5,
  LOOK_BACK = 32,          /* further back nothing is compared */
  LOOKED = 20,             /* for a repeat shorter than this, a longer one is looked for; */
  FOLLOWED = 24,           /* one as long as this is followed on the word of a single slot, */
  LEAPT = 32,              /* and one as long as this by several bytes at once: */
  LEAP = 16,
  FORGIVEN = 8,            /* misses among the last 16 bytes, before a repeat is given up */
  FOLLOW_SIZES = 7,
  LENGTH_SIZES = 10,
  LITERAL_LEAST = 512,
  REPEAT_LEAST = 192,
  FOLLOW_LIMIT = 1000,
  MIN_BITS = 10,
};

typedef u64 Word64 __attribute__((aligned(1)));

typedef struct {
  Curves curves;
  Mixer literal_mixers[256 * 3];
  Mixer repeat_mixers[LENGTH_SIZES * 4];
  u32 literal_bits, repeat_bits, follow_bits, hash_bits;
  Slot *literal_slots, *repeat_slots;
  Fine *follow_slots;
  u32 *by_long, *by_short; /* where the same bytes were followed last */
} Model;

/* What the bytes so far come to. */
typedef struct {
  u32 at;                  /* how many there are */
  u64 last;                /* the last eight, the newest at the top */
  u64 older;               /* the eight before those */
  u32 word, column;
  u32 from;                /* where the repeat goes on; 0 is none */
  u32 length;              /* how many bytes it has held without a miss */
  u32 misses;              /* one bit for each byte since it began, 1 for a miss */
  bool near;               /* the next miss is known to be among the next `LEAP` bytes */
} Past;

ALWAYS u32 hash(u64 value, u32 bits) {
  return (u32)(value * 0x9e3779b97f4a7c15ull >> (64 - bits));
}

ALWAYS u32 newest(const Past *past, u32 bytes) { return (u32)(past->last >> (64 - 8 * bytes)); }

/* How many bytes before both places, a < b, are alike, `LOOK_BACK` at most. */
static u32 alike_before(const u8 *data, u32 a, u32 b) {
  u32 n = 0;
  for (; n < LOOK_BACK && n + 8 <= a; n += 8) {
    u64 differ = *(const Word64 *)(data + a - n - 8) ^ *(const Word64 *)(data + b - n - 8);
    if (differ != 0) return n + (u32)__builtin_clzll(differ) / 8;
  }
  while (n < LOOK_BACK && n < a && data[a - 1 - n] == data[b - 1 - n]) n++;
  return n;
}

/* Where hashes of what comes last are kept; both places then name the byte that is next. */
ALWAYS void find_places(Model *model, const Past *past, u32 **longer, u32 **shorter) {
  u64 both = past->last ^ (past->older >> 32) * 0xd6e8feb86659fd93ull;
  *longer = &model->by_long[hash(both, model->hash_bits)];
  *shorter = &model->by_short[hash(past->last >> (64 - 8 * SHORT_HASH), model->hash_bits)];
}

/* A repeat longer than the one that is followed takes its place. */
ALWAYS void look_for_repeat(Model *model, Past *past, const u8 *data) {
  u32 *place[2], least[2] = {LONG_HASH, SHORT_HASH};
  find_places(model, past, &place[0], &place[1]);
  for (u32 i = 0; i < 2 && past->length < LOOKED; i++) {
    u32 from = *place[i];
    if (from == 0) continue;
    u32 alike = alike_before(data, from, past->at);
    if (alike < least[i] || alike <= past->length) continue;
    past->from = from;
    past->length = alike;
    past->misses = 0;
    break;
  }
  *place[0] = *place[1] = past->at;
}

static inline u32 size_of_follow(u32 length) {
  if (length < 64) return length < 32 ? 0 : length < 48 ? 1 : 2;
  return length < 128 ? 3 : length < 256 ? 4 : length < 512 ? 5 : 6;
}

static inline u32 size_of_length(u32 length) {
  static const u8 SIZES[LOOK_BACK + 1] = {0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 6,
                                          6, 6, 6, 7, 7, 7, 7, 8, 8, 8, 8, 8, 8, 8, 8, 9};
  return SIZES[length];
}

ALWAYS void hold(Past *past, bool held) {
  past->from++;
  past->misses <<= 1;
  if (held) {
    past->length++;
    return;
  }
  past->misses |= 1;
  past->length = 0;
  past->near = false;
  if (__builtin_popcount(past->misses & 0xffff) > FORGIVEN) past->from = 0;
}

/* Whether a long repeat goes on: one slot for its length, the two bytes before and the next one.
 * `kind` is 0 for one byte, FOLLOW_SIZES for a leap. */
ALWAYS u32 code_follow(Model *model, Range *range, bool reading, const Past *past, u32 expected,
                       u32 kind, u32 bit) {
  u32 seam = hash(newest(past, 2) << 8 | expected, model->follow_bits);
  u32 size = size_of_follow(past->length) + kind;
  Fine *slot = &model->follow_slots[size << model->follow_bits | seam];
  u32 p = chance(*slot) >> 6;
  p = p < 16 ? 16 : p > ONE - 16 ? ONE - 16 : p;
  bit = code_bit(range, reading, p, bit);
  observe(slot, &model->curves, bit, FOLLOW_LIMIT);
  return bit;
}

ALWAYS u32 code_mixed(Model *model, Range *range, bool reading, Voices *voices, Mixer *mixer, u32 bit,
                      i32 least) {
  u32 p = weigh(voices, mixer, &model->curves);
  bit = code_bit(range, reading, p, bit);
  learn(voices, mixer, p, bit, least);
  return bit;
}

/* Whether the byte is the one that the repeat leads to. */
ALWAYS u32 code_repeat(Model *model, Range *range, bool reading, const Past *past, u32 expected,
                       u32 bit) {
  Voices voices;
  u32 size = size_of_length(past->length), bits = model->repeat_bits;
  u64 context[8] = {
      size << 8 | (past->misses & 255),
      newest(past, 1),
      newest(past, 2),
      newest(past, 3),
      newest(past, 4),
      past->column,
      past->word,
      (u64)size << 8 | newest(past, 1),
  };
  EACH for (u32 i = 0; i < INPUTS; i++) {
    u64 seam = i == 0 ? context[i] : context[i] << 8 | expected;
    voices.slot[i] = model->repeat_slots + ((i << bits) + hash(seam * 8 + i, bits));
  }
  Mixer *mixer = &model->repeat_mixers[size * 4 + (past->misses & 3)];
  return code_mixed(model, range, reading, &voices, mixer, bit, REPEAT_LEAST);
}

/* The bits of a byte, highest first. `expected` is 256 where no repeat leads to anything. */
ALWAYS u32 code_byte(Model *model, Range *range, bool reading, const Past *past, u32 expected,
                     u32 byte) {
  Voices voices;
  u32 bits = model->literal_bits, so_far = 1;
  u64 context[INPUTS] = {
      expected,
      newest(past, 1),
      newest(past, 2),
      newest(past, 3),
      newest(past, 4),
      past->last >> 16,
      past->word,
      (u64)past->column << 9 | expected,
  };
  u32 hoped = expected < 256 ? expected | 256 : 0;
  for (u32 bit = 0; bit < 8;) {
    Slot *sixteen[INPUTS];
    EACH for (u32 i = 0; i < INPUTS; i++) {
      u64 seam = (context[i] * 8 + i) * 0x2545f4914f6cdd1d + so_far;
      sixteen[i] = model->literal_slots + ((i << bits) + (hash(seam, bits) & ~15u));
    }
    for (u32 place = 1; place < 16; bit++) {
      EACH for (u32 i = 0; i < INPUTS; i++) voices.slot[i] = sixteen[i] + place;
      u32 agrees = hoped >> (8 - bit) == so_far ? 1 + (hoped >> (7 - bit) & 1) : 0;
      Mixer *mixer = &model->literal_mixers[agrees << 8 | so_far];
      u32 one = byte >> (7 - bit) & 1;
      one = code_mixed(model, range, reading, &voices, mixer, one, LITERAL_LEAST);
      so_far = so_far << 1 | one;
      place = place << 1 | one;
    }
  }
  return so_far & 255;
}

ALWAYS void pass(Past *past, u32 byte) {
  past->older = past->older >> 8 | past->last << 56;
  past->last = past->last >> 8 | (u64)byte << 56;
  past->at++;
  past->column = byte == '\n' ? 0 : past->column + 1;
  bool letter = (byte | 32) - 'a' < 26 || byte >= 128;
  past->word = letter ? (past->word + byte + 1) * 0x2f0b4c47u : byte - '0' < 10 ? 0 : byte;
}

/* Whether the next `LEAP` bytes are all those that the repeat leads to; they are then passed. */
ALWAYS bool leap(Model *model, Range *range, bool reading, Past *past, u8 *data, u32 length) {
  if (past->length < LEAPT || past->near || past->from == 0 || length - past->at < LEAP) return false;
  u32 held = 0;
  if (!reading)
    while (held < LEAP && data[past->from + held] == data[past->at + held]) held++;
  u32 all = code_follow(model, range, reading, past, data[past->from], FOLLOW_SIZES, held == LEAP);
  past->near = !all;
  if (!all) return false;
  for (u32 i = 0; i < LEAP; i++) {
    u32 byte = data[past->from + i];
    if (reading) data[past->at] = (u8)byte;
    pass(past, byte);
  }
  past->length += LEAP;
  past->from += LEAP;
  past->misses <<= LEAP;
  return true;
}

/* The next byte, whichever way it is coded. */
ALWAYS u32 code_next(Model *model, Range *range, bool reading, Past *past, const u8 *data,
                     u32 byte) {
  u32 expected = 256;
  if (past->length >= FOLLOWED && past->from != 0) {
    expected = data[past->from];
    u32 held = code_follow(model, range, reading, past, expected, 0, byte == expected);
    hold(past, held);
    if (held) return expected;
  } else {
    look_for_repeat(model, past, data);
    if (past->from != 0) {
      expected = data[past->from];
      u32 held = code_repeat(model, range, reading, past, expected, byte == expected);
      hold(past, held);
      if (held) return expected;
    }
  }
  return code_byte(model, range, reading, past, expected, byte);
}

#endif
