/* The forward operation: chunks as long as they may be, each coded or stored, whichever is shorter. */
#ifndef LZMA_ENCODE_H
#define LZMA_ENCODE_H

#include "find.h"

/* No symbol takes as much as this, nor more than 32 bytes with what is held back. */
enum { RESERVE = 64 };
/* A chunk that is stored makes this many bytes at least, unless it is the last. */
enum { LEAST_STORED = 1 << 12 };

/* What was written but for the last byte, which a carry may still reach, and the 0xffs behind it. */
typedef struct {
  u64 low;
  u32 width, held, waiting;        /* the byte that is held, and how many wait, it included */
  u8 *at;
} Writer;

typedef struct {
  Finder finder;
  Chances chances;
  Properties properties;
  Past past;
  u8 body[MOST_CODED + RESERVE];
} Encoder;

static void shift_out(Writer *writer) {
  if ((u32)writer->low < 0xff000000u || writer->low >> 32 != 0) {
    u32 carry = (u32)(writer->low >> 32);
    for (; writer->waiting > 0; writer->waiting--) {
      *writer->at++ = (u8)(writer->held + carry);
      writer->held = 0xff;
    }
    writer->held = (u32)writer->low >> 24;
  }
  writer->waiting++;
  writer->low = (u64)((u32)writer->low << 8);
}

ALWAYS void settle(Writer *writer) {
  if (writer->width >> 24 != 0) return;
  writer->width <<= 8;
  shift_out(writer);
}

static void write_bit(Writer *writer, Chance *chance, u32 bit) {
  u32 bound = (writer->width >> CHANCE_BITS) * *chance;
  if (bit) {
    writer->low += bound;
    writer->width -= bound;
    *chance -= *chance >> MOVE;
  } else {
    writer->width = bound;
    *chance += (CERTAIN - *chance) >> MOVE;
  }
  settle(writer);
}

static void write_plain(Writer *writer, u32 value, u32 bits) {
  while (bits-- > 0) {
    writer->width >>= 1;
    if (value >> bits & 1) writer->low += writer->width;
    settle(writer);
  }
}

static void write_tree(Writer *writer, Chance *tree, u32 value, u32 bits) {
  u32 node = 1;
  while (bits-- > 0) {
    u32 bit = value >> bits & 1;
    write_bit(writer, &tree[node], bit);
    node = node << 1 | bit;
  }
}

static void write_turned(Writer *writer, Chance *tree, u32 value, u32 bits) {
  u32 node = 1;
  for (u32 i = 0; i < bits; i++) {
    u32 bit = value >> i & 1;
    write_bit(writer, &tree[node], bit);
    node = node << 1 | bit;
  }
}

static void write_differing(Writer *writer, Chance *tree, u32 byte, u32 expected) {
  u32 node = 1, same = 0x100;
  for (u32 i = 8; i-- > 0;) {
    expected <<= 1;
    u32 says = expected & same, bit = byte >> i & 1;
    write_bit(writer, &tree[same + says + node], bit);
    node = node << 1 | bit;
    same &= bit ? says : ~says;
  }
}

static void write_length(Writer *writer, Lengths *lengths, u32 length, u32 place) {
  length -= SHORTEST;
  write_bit(writer, &lengths->more, length >= 8);
  if (length < 8) {
    write_tree(writer, lengths->low[place], length, 3);
    return;
  }
  write_bit(writer, &lengths->most, length >= 16);
  if (length < 16)
    write_tree(writer, lengths->middle[place], length - 8, 3);
  else
    write_tree(writer, lengths->high, length - 16, 8);
}

static void write_distance(Writer *writer, Chances *chances, u32 back, u32 length) {
  u32 top = back < 4 ? 0 : 31 - (u32)__builtin_clz(back);
  u32 slot = back < 4 ? back : 2 * top + (back >> (top - 1) & 1);
  write_tree(writer, chances->slot[length_kind(length)], slot, 6);
  if (slot < 4) return;
  u32 bits = top - 1, high = (2 | (slot & 1)) << bits;
  if (slot < NEAR_SLOTS) {
    write_turned(writer, &chances->near[high - slot], back - high, bits);
    return;
  }
  write_plain(writer, (back - high) >> ALIGN_BITS, bits - ALIGN_BITS);
  write_turned(writer, chances->align, back & ((1 << ALIGN_BITS) - 1), ALIGN_BITS);
}

/* One byte: as it is, or as a repeat of one byte where it is the expected one. */
static void write_byte(Encoder *encoder, Writer *writer, u32 at, u32 place) {
  Chances *chances = &encoder->chances;
  Past *past = &encoder->past;
  const u8 *data = encoder->finder.data;
  u32 state = past->state, byte = data[at], before = at == 0 ? 0 : data[at - 1];
  u32 expected = past->back[0] < at ? data[at - past->back[0] - 1] : 256;
  write_bit(writer, &chances->is_match[state][place], byte == expected);
  if (byte == expected) {
    write_bit(writer, &chances->is_recent[state], 1);
    write_bit(writer, &chances->not_first[state], 0);
    write_bit(writer, &chances->is_long[state][place], 0);
    past->state = after_single(state);
    return;
  }
  Chance *tree = literal_chances(chances, &encoder->properties, at, before);
  if (state < FIRST_NOT_LITERAL)
    write_tree(writer, tree, byte, 8);
  else
    write_differing(writer, tree, byte, expected);
  past->state = after_literal(state);
}

static void write_recent(Encoder *encoder, Writer *writer, const Match *match, u32 place) {
  Chances *chances = &encoder->chances;
  Past *past = &encoder->past;
  u32 state = past->state;
  write_bit(writer, &chances->not_first[state], match->which > 0);
  if (match->which == 0)
    write_bit(writer, &chances->is_long[state][place], 1);
  else
    write_bit(writer, &chances->not_second[state], match->which > 1);
  if (match->which > 1) write_bit(writer, &chances->not_third[state], match->which > 2);
  for (u32 i = match->which; i > 0; i--) past->back[i] = past->back[i - 1];
  past->back[0] = match->back;
  write_length(writer, &chances->recent, match->length, place);
  past->state = after_recent(state);
}

static void write_match(Encoder *encoder, Writer *writer, const Match *match, u32 place) {
  Chances *chances = &encoder->chances;
  Past *past = &encoder->past;
  u32 state = past->state;
  write_bit(writer, &chances->is_match[state][place], 1);
  write_bit(writer, &chances->is_recent[state], match->which != NEW);
  if (match->which != NEW) {
    write_recent(encoder, writer, match, place);
    return;
  }
  write_length(writer, &chances->match, match->length, place);
  write_distance(writer, chances, match->back, match->length);
  for (u32 i = RECENT - 1; i > 0; i--) past->back[i] = past->back[i - 1];
  past->back[0] = match->back;
  past->state = after_match(state);
}

/* As many symbols from `from` on as fit into a chunk; gives where they end, `taken` what they took. */
static u32 write_symbols(Encoder *encoder, u32 from, u32 *taken) {
  Writer writer = {.width = ~0u, .waiting = 1, .at = encoder->body};
  u32 length = encoder->finder.length, at = from;
  u32 end = length - from < MOST_MADE ? length : from + MOST_MADE;
  while (at < end) {
    if ((u32)(writer.at - encoder->body) + writer.waiting + RESERVE > MOST_CODED) break;
    u32 place = at & encoder->properties.places;
    Match match = choose(&encoder->finder, at, end, &encoder->past);
    if (match.length == 0)
      write_byte(encoder, &writer, at, place);
    else
      write_match(encoder, &writer, &match, place);
    at += match.length == 0 ? 1 : match.length;
  }
  for (u32 i = 0; i < 5; i++) shift_out(&writer);
  *taken = (u32)(writer.at - encoder->body);
  return at;
}

static u8 *put_two(u8 *at, u32 value) {
  *at++ = (u8)(value >> 8);
  *at++ = (u8)value;
  return at;
}

static u8 *write_chunks(Encoder *encoder, u32 properties, u8 *at) {
  const Finder *finder = &encoder->finder;
  u32 needed = ANEW;
  for (u32 from = 0; from < finder->length;) {
    u32 reset = needed, taken;
    if (reset != KEEP) {
      forget(&encoder->chances, &encoder->properties);
      encoder->past = (Past){0};
    }
    u32 end = write_symbols(encoder, from, &taken), made = end - from;
    if (taken + 6 < made + 3) {
      *at++ = (u8)(CODED | reset << 5 | (made - 1) >> 16);
      at = put_two(put_two(at, made - 1), taken - 1);
      if (reset >= NEW_PROPERTIES) *at++ = (u8)properties;
      copy_bytes(at, encoder->body, taken);
      at += taken;
      needed = KEEP;
    } else {
      *at++ = reset == ANEW ? STORED_ANEW : STORED;
      at = put_two(at, made - 1);
      copy_bytes(at, finder->data + from, made);
      at += made;
      needed = reset >= NEW_PROPERTIES ? NEW_PROPERTIES : FORGET;
    }
    from = end;
  }
  *at++ = THE_END;
  return at;
}

static u32 hash_bits_for(u32 length) {
  u32 bits = 8;
  while (bits < MAX_HASH_BITS && 1u << bits < length) bits++;
  return bits;
}

/* lc, lp and pb: bytes of text by the one before, those of a lane by their place in it. */
static u32 properties_for(u32 width) {
  static const u32 BEFORE[4] = {4, 1, 0, 0};
  u32 log = (u32)__builtin_ctz(width);
  return (log * 5 + log) * 9 + BEFORE[log];
}

static u32 encode(Call *call, u32 width) {
  u32 length = call->in[0].len;
  if (length > MAX_LENGTH || length % width != 0) return OUTSIDE_DOMAIN;
  u32 room = length == 0 ? 0 : length + 3 * (length / LEAST_STORED + 1) + 1;
  u32 bits = hash_bits_for(length);
  u32 scratch = length == 0 ? 0 : (u32)sizeof(Encoder) + (4u << bits) + 4 * length;
  if (call->bound) {
    call->out[0].cap = room;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < room) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  call->out[0].len = 0;
  if (length == 0) return DONE;
  Encoder *encoder = AT(Encoder, call->scratch->ptr);
  u32 *tables = (u32 *)(encoder + 1);
  encoder->finder = (Finder){.data = in_at(call, 0), .length = length, .newest = tables,
                             .before = tables + (1u << bits), .hash_bits = bits};
  u32 properties = properties_for(width);
  read_properties(properties, &encoder->properties);
  u8 *start = out_at(call, 0);
  call->out[0].len = (u32)(write_chunks(encoder, properties, start) - start);
  return DONE;
}

#endif
