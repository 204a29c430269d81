/* Stretches of text taken from a stream, and put behind one another. */
#ifndef TABLE_TEXT_H
#define TABLE_TEXT_H

/* Lines are joined by one byte each, and the text may or may not end with one: what is over. */
typedef struct { u8 *at, *end; } Text;

__attribute__((noinline)) static bool put_bytes(Text *text, const u8 *from, u32 length) {
  if (length > (u32)(text->end - text->at)) return false;
  copy_bytes(text->at, from, length);
  text->at += length;
  return true;
}

/* The byte after a line; after the last there may be none. */
static bool end_line(Text *text, bool is_last) {
  if (text->at == text->end) return is_last;
  *text->at++ = '\n';
  return true;
}

/* One bit for each byte that is set. */
static inline u32 bits_of(Bytes set) {
#ifdef __wasm__
  typedef signed char Signs __attribute__((vector_size(16)));
  return (u32)__builtin_wasm_bitmask_i8x16((Signs)set);
#else
  u32 bits = 0;
  for (u32 i = 0; i < sizeof set; i++) bits |= (u32)(set[i] & 1) << i;
  return bits;
#endif
}

/* A stretch of bytes up to the next 0a, which is skipped; false where there is none. */
static inline bool take_stretch(const u8 **from, const u8 *end, Cell *cell) {
  const u8 *at = *from;
  u32 ends = 0;
  for (; end - at >= (i32)sizeof(Bytes); at += sizeof(Bytes)) {
    ends = bits_of((Bytes)(*(const Bytes *)at == (u8)'\n'));
    if (ends) break;
  }
  if (ends) at += __builtin_ctz(ends);
  else
    while (at < end && *at != '\n') at++;
  if (at == end) return false;
  *cell = (Cell){(u32)(uintptr_t)*from, (u32)(at - *from)};
  *from = at + 1;
  return true;
}

#endif
