/* The chunks that a stream is made of: their headers, and what these may claim. */
#ifndef LZMA_CHUNK_H
#define LZMA_CHUNK_H

#include "model.h"

enum { MAX_LENGTH = 1 << 30, MOST_STORED = 1 << 16, MOST_CODED = 1 << 16, MOST_MADE = 1 << 21 };

/* What a chunk's first byte says. */
enum { THE_END = 0, STORED_ANEW = 1, STORED = 2, CODED = 0x80 };
enum { KEEP = 0, FORGET = 1, NEW_PROPERTIES = 2, ANEW = 3 };

/* The longest repeat takes 14 bits, each at least 0.022 of one: 7,081 bytes for a coded byte. */
enum { MOST_PER_BYTE = 1 << 13 };

/* Copies go on to the next 16 bytes. */
enum { SLACK = 16 };

typedef struct {
  bool coded;
  u32 reset;               /* KEEP … ANEW */
  u32 made, taken;         /* how many bytes it makes, and of how many behind its header */
  u32 properties;          /* their byte, where the chunk has one */
} Chunk;

static u32 big_endian(const u8 *at) { return (u32)at[0] << 8 | at[1]; }

/* A chunk's header, of no less than three bytes; gives where it ends, or 0. */
static const u8 *read_chunk(const u8 *at, const u8 *end, Chunk *chunk) {
  if (end - at < 3) return 0;
  u32 says = at[0];
  *chunk = (Chunk){.coded = says >= CODED, .made = big_endian(at + 1) + 1};
  if (!chunk->coded) {
    if (says > STORED) return 0;
    chunk->reset = says == STORED_ANEW ? ANEW : KEEP;
    chunk->taken = chunk->made;
    at += 3;
  } else {
    chunk->reset = says >> 5 & 3;
    u32 head = chunk->reset >= NEW_PROPERTIES ? 6 : 5;
    if ((u32)(end - at) < head) return 0;
    chunk->made += (says & 31) << 16;
    chunk->taken = big_endian(at + 3) + 1;
    chunk->properties = at[head - 1];
    if (chunk->made / MOST_PER_BYTE > chunk->taken) return 0;
    at += head;
  }
  return chunk->taken > (u32)(end - at) ? 0 : at;
}

/* lc, lp and pb in one byte; false where that is none. */
static bool read_properties(u32 byte, Properties *properties) {
  u32 before = byte % 9, literal_places = byte / 9 % 5, places = byte / 45;
  if (places > 4 || before + literal_places > MOST_SPLIT) return false;
  *properties = (Properties){before, (1u << literal_places) - 1, (1u << places) - 1};
  return true;
}

/* How many bytes a stream makes; -1 where its chunks do not follow one another as they must. */
static i32 bytes_made(const u8 *at, const u8 *end) {
  u32 total = 0;
  if (at == end) return 0;
  while (at != end && *at != THE_END) {
    Chunk chunk;
    at = read_chunk(at, end, &chunk);
    if (at == 0) return -1;
    at += chunk.taken;
    total += chunk.made;
    if (total > MAX_LENGTH) return -1;
  }
  return end - at == 1 ? (i32)total : -1;
}

#endif
