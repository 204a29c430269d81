/* The inverse: chunk by chunk, symbol by symbol; what a chunk claims is checked before and after. */
#ifndef LZMA_DECODE_H
#define LZMA_DECODE_H

#include "chunk.h"

/* `at` may run past `end`: behind it stand zeros, and the chunk is refused when it is done. */
typedef struct {
  u32 width, code;
  const u8 *at, *end;
} Range;

typedef struct {
  Chances chances;
  Properties properties;
  Past past;
} Reader;

ALWAYS void refill(Range *range) {
  if (range->width >> 24 != 0) return;
  u32 byte = range->at < range->end ? *range->at : 0;
  range->at++;
  range->width <<= 8;
  range->code = range->code << 8 | byte;
}

ALWAYS u32 read_bit(Range *range, Chance *chance) {
  refill(range);
  u32 bound = (range->width >> CHANCE_BITS) * *chance;
  if (range->code < bound) {
    range->width = bound;
    *chance += (CERTAIN - *chance) >> MOVE;
    return 0;
  }
  range->width -= bound;
  range->code -= bound;
  *chance -= *chance >> MOVE;
  return 1;
}

/* The same without a branch, for bits that nobody can foresee. */
ALWAYS u32 read_even(Range *range, Chance *chance) {
  refill(range);
  u32 p = *chance, bound = (range->width >> CHANCE_BITS) * p;
  u32 bit = range->code >= bound, ones = 0 - bit;
  range->width = (bound & ~ones) | ((range->width - bound) & ones);
  range->code -= bound & ones;
  *chance = (Chance)(p - (u32)((i32)(p - ((CERTAIN - 31) & ~ones)) >> MOVE));
  return bit;
}

ALWAYS u32 read_tree(Range *range, Chance *tree, u32 bits) {
  u32 node = 1;
  for (u32 i = 0; i < bits; i++) node = node << 1 | read_even(range, &tree[node]);
  return node - (1u << bits);
}

/* The lowest bit first. */
ALWAYS u32 read_turned(Range *range, Chance *tree, u32 bits) {
  u32 node = 1, value = 0;
  for (u32 i = 0; i < bits; i++) {
    u32 bit = read_even(range, &tree[node]);
    node = node << 1 | bit;
    value |= bit << i;
  }
  return value;
}

ALWAYS u32 read_plain(Range *range, u32 bits) {
  u32 value = 0;
  for (; bits > 0; bits--) {
    refill(range);
    range->width >>= 1;
    u32 bit = range->code >= range->width;
    range->code -= range->width & (0 - bit);
    value = value << 1 | bit;
  }
  return value;
}

ALWAYS u32 read_literal(Range *range, Chance *tree) {
  u32 node = 1;
  for (u32 i = 0; i < 8; i++) node = node << 1 | read_even(range, &tree[node]);
  return node;
}

/* After a repeat: the byte where it would go on says which chances, until a bit differs from it. */
ALWAYS u32 read_differing(Range *range, Chance *tree, u32 expected) {
  u32 node = 1, same = 0x100;
  for (u32 i = 0; i < 8; i++) {
    expected <<= 1;
    u32 says = expected & same;
    u32 bit = read_even(range, &tree[same + says + node]);
    node = node << 1 | bit;
    same &= bit ? says : ~says;
  }
  return node;
}

ALWAYS u32 read_length(Range *range, Lengths *lengths, u32 place) {
  if (!read_bit(range, &lengths->more)) return SHORTEST + read_tree(range, lengths->low[place], 3);
  if (!read_bit(range, &lengths->most))
    return SHORTEST + 8 + read_tree(range, lengths->middle[place], 3);
  return SHORTEST + 16 + read_tree(range, lengths->high, 8);
}

/* A distance less one. */
ALWAYS u32 read_distance(Range *range, Chances *chances, u32 length) {
  u32 slot = read_tree(range, chances->slot[length_kind(length)], 6);
  if (slot < 4) return slot;
  u32 bits = (slot >> 1) - 1, high = (2 | (slot & 1)) << bits;
  if (slot < NEAR_SLOTS) return high + read_turned(range, &chances->near[high - slot], bits);
  high += read_plain(range, bits - ALIGN_BITS) << ALIGN_BITS;
  return high + read_turned(range, chances->align, ALIGN_BITS);
}

/* A repeat of one of the last four distances, which becomes the first of them; its length. */
ALWAYS u32 read_recent(Range *range, Chances *chances, Past *past, u32 place) {
  u32 state = past->state;
  if (!read_bit(range, &chances->not_first[state])) {
    if (!read_bit(range, &chances->is_long[state][place])) {
      past->state = after_single(state);
      return 1;
    }
  } else {
    u32 distance = past->back[1];
    if (read_bit(range, &chances->not_second[state])) {
      distance = past->back[2];
      if (read_bit(range, &chances->not_third[state])) {
        distance = past->back[3];
        past->back[3] = past->back[2];
      }
      past->back[2] = past->back[1];
    }
    past->back[1] = past->back[0];
    past->back[0] = distance;
  }
  past->state = after_recent(state);
  return read_length(range, &chances->recent, place);
}

ALWAYS u32 read_match(Range *range, Chances *chances, Past *past, u32 place) {
  past->state = after_match(past->state);
  u32 length = read_length(range, &chances->match, place);
  past->back[3] = past->back[2];
  past->back[2] = past->back[1];
  past->back[1] = past->back[0];
  past->back[0] = read_distance(range, chances, length);
  return length;
}

/* Where it is far enough back whole vectors, which may write what comes later. */
ALWAYS void repeat(u8 *to, u32 distance, u32 length) {
  const u8 *from = to - distance;
  if (distance >= SLACK)
    for (u32 i = 0; i < length; i += SLACK) *(Bytes *)(to + i) = *(const Bytes *)(from + i);
  else
    for (u32 i = 0; i < length; i++) to[i] = from[i];
}

/* One chunk's symbols to data[at .. end); whether they end where it does. `data` is what repeats may
 * reach back to. */
static bool read_symbols(Reader *reader, Range *given, u8 *data, u32 at, u32 end) {
  Range range = *given;
  Past past = reader->past;
  Properties properties = reader->properties;
  Chances *chances = &reader->chances;
  while (at < end) {
    u32 place = at & properties.places;
    if (!read_bit(&range, &chances->is_match[past.state][place])) {
      u32 before = at == 0 ? 0 : data[at - 1];
      Chance *tree = literal_chances(chances, &properties, at, before);
      data[at] = (u8)(past.state < FIRST_NOT_LITERAL
                          ? read_literal(&range, tree)
                          : read_differing(&range, tree, data[at - past.back[0] - 1]));
      past.state = after_literal(past.state);
      at++;
      continue;
    }
    u32 length = read_bit(&range, &chances->is_recent[past.state])
                     ? read_recent(&range, chances, &past, place)
                     : read_match(&range, chances, &past, place);
    if (past.back[0] >= at || length > end - at) return false;
    repeat(data + at, past.back[0] + 1, length);
    at += length;
  }
  refill(&range);
  reader->past = past;
  return range.at == range.end && range.code == 0;
}

/* One chunk; false when it is malformed. */
static bool read_coded(Reader *reader, const u8 *at, const Chunk *chunk, u8 *data, u32 from) {
  if (chunk->taken < 5 || at[0] != 0) return false;
  if (chunk->reset >= NEW_PROPERTIES && !read_properties(chunk->properties, &reader->properties))
    return false;
  if (chunk->reset != KEEP) {
    forget(&reader->chances, &reader->properties);
    reader->past = (Past){0};
  }
  Range range = {.width = ~0u, .at = at + 5, .end = at + chunk->taken};
  for (u32 i = 1; i < 5; i++) range.code = range.code << 8 | at[i];
  return read_symbols(reader, &range, data, from, from + chunk->made);
}

/* All chunks; false when one is malformed, or needs what no chunk before it said. */
static bool read_chunks(Reader *reader, const u8 *at, const u8 *end, u8 *out) {
  u8 *data = out;
  u32 needed = ANEW;
  while (*at != THE_END) {
    Chunk chunk;
    at = read_chunk(at, end, &chunk);
    if (needed == ANEW ? chunk.reset != ANEW : chunk.coded && chunk.reset < needed) return false;
    if (chunk.reset == ANEW) data = out;
    if (chunk.coded) {
      if (!read_coded(reader, at, &chunk, data, (u32)(out - data))) return false;
      needed = KEEP;
    } else {
      copy_bytes(out, at, chunk.made);
      if (chunk.reset == ANEW) needed = NEW_PROPERTIES;
    }
    at += chunk.taken;
    out += chunk.made;
  }
  return true;
}

static u32 decode(Call *call, u32 width) {
  const u8 *at = in_at(call, 0), *end = at + call->in[0].len;
  i32 made = bytes_made(at, end);
  if (made < 0 || (u32)made % width != 0) return MALFORMED;
  u32 room = made == 0 ? 0 : (u32)made + SLACK, scratch = made == 0 ? 0 : (u32)sizeof(Reader);
  if (call->bound) {
    call->out[0].cap = room;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < room) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = (u32)made;
  if (made == 0) return DONE;
  return read_chunks(AT(Reader, call->scratch->ptr), at, end, out_at(call, 0)) ? DONE : MALFORMED;
}

#endif
