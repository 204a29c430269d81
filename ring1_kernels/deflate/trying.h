/* Under which setting a stream was made: those that its first block allows are tried in turn. */
#ifndef DEFLATE_TRYING_H
#define DEFLATE_TRYING_H

#include "inflate.h"
#include "match.h"

/* A block is begun only where its length and a little more fit. */
enum { ROOM_AFTER = 32 };

/* A fixed code takes 31 bits at most for a match of three bytes, and a block ends in two more. */
static inline u64 room_for(u32 plain) { return (u64)plain + plain / 2 + 64; }

static const u8 LEVELS[9] = {6, 9, 1, 5, 7, 8, 4, 3, 2};

static bool is_made(Room *room, const u8 *in, const u8 *plain, const Stream *stream,
                    const Setting *setting) {
  for (u32 i = 0; i < MOST_HASHES; i++) room->head[i] = 0;
  u8 *made = (u8 *)(room + 1);
  Maker m = {.room = room, .setting = *setting, .plain = plain};
  m.like = in;
  m.like_end = in + stream->used;
  m.to = (Writer){made, made + stream->used + ROOM_AFTER, 0, 0};
  make(&m, stream->length);
  return !m.failed && (u32)(m.to.at - made) == stream->used;
}

/* Every level of zlib with so much memory, or of gzip. */
static bool find_level(Room *room, const u8 *in, const u8 *plain, const Stream *stream,
                       Setting *setting) {
  for (u32 i = 0; i < 9; i++) {
    setting->level = LEVELS[i];
    /* Below the levels that are lazy, a filtered stream is no other. */
    if (setting->strategy == FILTERED && setting->level < LAZY_LEVEL) continue;
    if (is_made(room, in, plain, stream, setting)) return true;
  }
  return false;
}

static bool find_strategy(Room *room, const u8 *in, const u8 *plain, const Stream *stream,
                          u32 memory, Setting *setting) {
  *setting = (Setting){.strategy = USUAL, .memory = memory, .window = 15};
  if (find_level(room, in, plain, stream, setting)) return true;
  setting->strategy = FILTERED;
  if (find_level(room, in, plain, stream, setting)) return true;
  setting->level = 6;
  for (setting->strategy = HUFFMAN_ONLY; setting->strategy <= RUNS; setting->strategy++)
    if (is_made(room, in, plain, stream, setting)) return true;
  setting->strategy = ONLY_FIXED;
  return find_level(room, in, plain, stream, setting);
}

static bool find_setting(Room *room, const u8 *in, const u8 *plain, const Stream *stream,
                         Setting *setting) {
  u32 symbols = stream->symbols;
  /* A block that is not the last one is full, unless it was gzip that ended it. */
  for (u32 memory = 9; memory; memory--)
    if (symbols == (64u << memory) - 1 &&
        find_strategy(room, in, plain, stream, memory, setting))
      return true;
  if (symbols == 0) {
    if (find_strategy(room, in, plain, stream, 8, setting)) return true;
    if (find_strategy(room, in, plain, stream, 9, setting)) return true;
  }
  if (symbols && symbols % LOOKED_AFTER && symbols != (64u << 9) - 1) return false;
  *setting = (Setting){.strategy = USUAL, .memory = 9, .window = 15, .is_gzip = 1};
  return find_level(room, in, plain, stream, setting);
}

#endif
