/* The encoder's search for repeats: chains of positions with equal hashes, and one step of doubt. */
#ifndef ZSTD_MATCH_H
#define ZSTD_MATCH_H

#include "sequences.h"

enum { MIN_MATCH = 4, DEPTH = 16, MAX_HASH_BITS = 16 };

typedef struct {
  u32 literals, match, value;
} Sequence;

/* `newest` of a hash and `before` of a position hold positions plus one, so that 0 is none. */
typedef struct {
  const u8 *data;
  u32 length, next;        /* positions below `next` are in the chains */
  u32 *newest, *before;
  u32 hash_bits;
} Finder;

typedef struct {
  u32 length, offset;
  i32 gain;
} Match;

static inline u32 hash_of(const Finder *finder, u32 at) {
  return load32(finder->data + at) * 0x9e3779b1u >> (32 - finder->hash_bits);
}

static void enter(Finder *finder, u32 until) {
  for (; finder->next < until && finder->next + MIN_MATCH <= finder->length; finder->next++) {
    u32 *newest = &finder->newest[hash_of(finder, finder->next)];
    finder->before[finder->next] = *newest;
    *newest = finder->next + 1;
  }
}

static u32 common(const u8 *data, u32 a, u32 b, u32 end) {
  u32 n = 0;
  for (; b + n + 8 <= end; n += 8) {
    u64 differ = load64(data + a + n) ^ load64(data + b + n);
    if (differ != 0) return n + (u32)__builtin_ctzll(differ) / 8;
  }
  while (b + n < end && data[a + n] == data[b + n]) n++;
  return n;
}

/* About how many bits a match saves: a literal has six, an offset as many as its number. */
static i32 gain_of(u32 length, u32 offset) {
  return 6 * (i32)length - (i32)highest_bit(offset) - 12;
}

static void consider(const Finder *finder, u32 at, u32 offset, u32 end, i32 bonus, Match *best) {
  u32 length = common(finder->data, at - offset, at, end);
  i32 gain = gain_of(length, offset) + bonus;
  if (length >= MIN_MATCH && gain > best->gain) *best = (Match){length, offset, gain};
}

/* The match that gains most at a position, up to the block's end. */
static Match find(Finder *finder, u32 at, u32 end, const u32 *recent) {
  Match best = {0};
  if (at + MIN_MATCH > end) return best;
  for (u32 i = 0; i < 2; i++)
    if (recent[i] <= at)
      consider(finder, at, recent[i], end, (i32)highest_bit(recent[i]), &best);
  enter(finder, at);
  u32 from = finder->newest[hash_of(finder, at)];
  for (u32 tries = DEPTH; from != 0 && tries > 0; tries--) {
    if (at + best.length < end && finder->data[from - 1 + best.length] == finder->data[at + best.length])
      consider(finder, at, at + 1 - from, end, 0, &best);
    from = finder->before[from - 1];
  }
  return best;
}

/* The value that says an offset, shortest where it is a recent one; recent ones after it. */
static u32 value_of(u32 offset, u32 literals, u32 *recent) {
  u32 value = offset + 3;
  for (u32 small = 3; small >= 1; small--) {
    u32 place = small - 1 + (literals == 0);
    if (offset == (place == 3 ? recent[0] - 1 : recent[place])) value = small;
  }
  offset_of(value, literals, recent);
  return value;
}

/* The sequences of data[start .. end); what follows the last of them is literals. */
static u32 find_sequences(Finder *finder, u32 start, u32 end, u32 *recent, Sequence *sequences) {
  u32 count = 0, pending = start;
  for (u32 at = start; at < end;) {
    Match match = find(finder, at, end, recent);
    if (match.length == 0) {
      at++;
      continue;
    }
    Match later = find(finder, at + 1, end, recent);
    while (later.gain > match.gain + 6) {
      at++;
      match = later;
      later = find(finder, at + 1, end, recent);
    }
    u32 value = value_of(match.offset, at - pending, recent);
    sequences[count++] = (Sequence){at - pending, match.length, value};
    pending = at = at + match.length;
  }
  return count;
}

#endif
