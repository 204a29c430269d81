/* A binary arithmetic coder without carries: an interval of 32 bits, cut where the probability says.
 *
 * `code` writes the bit it is given when encoding, and gives the bit it read when decoding. */
#ifndef REDOXA_BIT_CODER_H
#define REDOXA_BIT_CODER_H

typedef struct {
  u32 low, high, value;
  bool decoding, full;
  u8 *to, *end;                           /* encoding: where the next byte goes, and the last may */
  const u8 *from, *stop;                  /* decoding: what is left */
  u32 missing;                            /* bytes that were read as zeros past the end */
} Coder;

static inline void feed(Coder *c) {
  u32 byte = 0;
  if (c->from < c->stop) byte = *c->from++;
  else c->missing++;
  c->value = c->value << 8 | byte;
}

static inline void emit(Coder *c, u32 byte) {
  if (c->to < c->end) *c->to++ = (u8)byte;
  else c->full = true;
}

/* One bit whose probability of being 1 is `p` of 65536, from 1 to 65535. */
static inline u32 code(Coder *c, u32 p, u32 bit) {
  u32 middle = c->low + (u32)(((u64)(c->high - c->low) * p) >> 16);
  if (c->decoding) bit = c->value <= middle;
  if (bit) c->high = middle;
  else c->low = middle + 1;
  while ((c->low ^ c->high) >> 24 == 0) {
    if (c->decoding) feed(c);
    else emit(c, c->high >> 24);
    c->low <<= 8;
    c->high = c->high << 8 | 255;
  }
  return bit;
}

/* One byte is enough: it and the zeros that are read after it lie in the interval. */
static void finish(Coder *c) { emit(c, (c->low >> 24) + 1); }

/* The stream is the one that `finish` ends: four bytes are looked at ahead, the last of them is its. */
static bool ended(const Coder *c) {
  return c->from == c->stop && c->missing == 3 && c->value == ((c->low >> 24) + 1) << 24;
}

#endif
