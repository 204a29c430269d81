/* The shape of a table as whole numbers: unsigned LEB128, each in its shortest form. */
#ifndef TABLE_SHAPE_H
#define TABLE_SHAPE_H

typedef struct { const u8 *at, *end; } Numbers;

static bool take_number(Numbers *from, u32 *value) {
  u64 sum = 0;
  for (u32 shift = 0; shift < 35; shift += 7) {
    if (from->at == from->end) return false;
    u8 byte = *from->at++;
    sum |= (u64)(byte & 0x7f) << shift;
    if (byte & 0x80) continue;
    *value = (u32)sum;
    return (byte != 0 || shift == 0) && sum <= 0xffffffffu;
  }
  return false;
}

static u8 *put_number(u8 *to, u32 value) {
  for (; value >= 0x80; value >>= 7) *to++ = (u8)(value | 0x80);
  *to++ = (u8)value;
  return to;
}

/* Room for the shape of so many lines: a number takes a byte, and another for each 128 it counts. */
static u32 shape_room(u32 length, u32 lines, u32 columns, u32 ragged) {
  return 32 + 2 * columns + 2 * ragged + (length >> 7) + (lines >> 7);
}

#endif
