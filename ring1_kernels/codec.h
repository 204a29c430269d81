/* What codecs begin a stream with: its mode and its length.
 *
 * How a codec asks for room and falls back on the data as it is stays written out in each: taken from
 * here it compiles to other bytes, and a kernel of other bytes is another kernel. */
#ifndef REDOXA_CODEC_H
#define REDOXA_CODEC_H

/* The mode of the data as it is; what a kernel coded begins with another. */
enum { STORED = 0 };

/* The length at the front of a coded stream, in its shortest form; gives where it ends, or 0. */
static const u8 *read_length(const u8 *at, const u8 *end, u32 most, u32 *length) {
  u64 sum = 0;
  for (u32 shift = 0; shift < 35 && at != end; shift += 7) {
    u8 byte = *at++;
    sum |= (u64)(byte & 0x7f) << shift;
    if (byte & 0x80) continue;
    *length = (u32)sum;
    return byte == 0 || sum > most ? 0 : at;
  }
  return 0;
}

#endif
