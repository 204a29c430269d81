/* Literals as the encoder writes them: raw, one byte again and again, or with a tree of their own. */
#ifndef ZSTD_HUFFMAN_WRITE_H
#define ZSTD_HUFFMAN_WRITE_H

#include "fse_write.h"

typedef struct {
  u16 code[256];
  u8 bits[256];
  u8 weight[256];
  u32 max_bits, last;      /* the last symbol that occurs */
} Codes;

/* Lengths of a Huffman code for counts in ascending order, in their place (Moffat, Katajainen). */
static void lengths_of(u32 *a, u32 n) {
  u32 root = 0, leaf = 2;
  a[0] += a[1];
  for (u32 next = 1; next < n - 1; next++) {
    u32 pair[2];
    for (u32 i = 0; i < 2; i++) {
      bool inner = leaf >= n || (root < next && a[root] < a[leaf]);
      pair[i] = inner ? a[root] : a[leaf];
      if (inner)
        a[root++] = next;
      else
        leaf++;
    }
    a[next] = pair[0] + pair[1];
  }
  a[n - 2] = 0;
  for (i32 i = (i32)n - 3; i >= 0; i--) a[i] = a[a[i]] + 1;
  u32 open = 1, depth = 0;
  i32 inner = (i32)n - 2, to = (i32)n - 1;
  while (open > 0) {
    u32 used = 0;
    for (; inner >= 0 && a[inner] == depth; inner--) used++;
    for (; open > used; open--) a[to--] = depth;
    open = 2 * used;
    depth++;
  }
}

/* No code longer than eleven bits, and none of the room for codes left over. */
static void shorten(u32 *bits, u32 n) {
  const u32 all = 1u << MAX_HUFFMAN_BITS;
  u32 used = 0;
  for (u32 i = 0; i < n; i++) {
    if (bits[i] > MAX_HUFFMAN_BITS) bits[i] = MAX_HUFFMAN_BITS;
    used += all >> bits[i];
  }
  /* The rarest that can be longer become so, then the most frequent that can be shorter. */
  for (u32 i = 0; used > all; i = (i + 1) % n)
    if (bits[i] < MAX_HUFFMAN_BITS) used -= all >> ++bits[i];
  for (u32 i = n; i-- > 0;)
    while (used + (all >> bits[i]) <= all) used += all >> bits[i]--;
}

/* Codes for literals of at least two kinds. */
static void make_codes(const u32 *count, Codes *codes) {
  u32 order[256], bits[256], n = 0;
  for (u32 s = 0; s < 256; s++) {
    codes->weight[s] = codes->bits[s] = 0;
    if (count[s] == 0) continue;
    u32 i = n++;
    for (; i > 0 && count[order[i - 1]] > count[s]; i--) order[i] = order[i - 1];
    order[i] = s;
    codes->last = s;
  }
  for (u32 i = 0; i < n; i++) bits[i] = count[order[i]];
  lengths_of(bits, n);
  shorten(bits, n);
  codes->max_bits = 0;
  for (u32 i = 0; i < n; i++)
    if (bits[i] > codes->max_bits) codes->max_bits = bits[i];
  for (u32 i = 0; i < n; i++) {
    codes->bits[order[i]] = (u8)bits[i];
    codes->weight[order[i]] = (u8)(codes->max_bits + 1 - bits[i]);
  }
  u32 next = 0;
  for (u32 w = 1; w <= codes->max_bits; w++)
    for (u32 s = 0; s < 256; s++)
      if (codes->weight[s] == w) {
        codes->code[s] = (u16)(next >> (w - 1));
        next += 1u << (w - 1);
      }
}

/* The weights by finite state entropy; gives where they end, 0 when they are too long for that. */
static u8 *write_coded_weights(u8 *at, const Codes *codes) {
  u32 count[MAX_HUFFMAN_BITS + 2] = {0}, n = codes->last, kinds = 0;
  for (u32 i = 0; i < n; i++) kinds += count[codes->weight[i]]++ == 0;
  if (n < 3 || kinds < 2) return 0;
  Counts counts;
  Coder coder;
  fit(count, MAX_HUFFMAN_BITS + 2, n, MAX_WEIGHT_LOG, &counts);
  while (counts.count[counts.symbols - 1] == 0) counts.symbols--;
  u8 *begin = write_counts(at + 1, &counts);
  make_coder(&counts, &coder);
  Writer writer = {.at = begin};
  u32 state[2];
  state[(n - 1) & 1] = begin_with(&coder, codes->weight[n - 1]);
  state[n & 1] = begin_with(&coder, codes->weight[n - 2]);
  for (u32 i = n - 2; i-- > 0;)
    state[i & 1] = go_to(&coder, &writer, state[i & 1], codes->weight[i]);
  put(&writer, state[1], coder.log);
  put(&writer, state[0], coder.log);
  u8 *end = close_marked(&writer);
  if (end - at > 128) return 0;
  *at = (u8)(end - at - 1);
  return end;
}

/* The tree's description in its shorter form; gives where it ends, 0 when there is none. */
static u8 *write_tree(u8 *at, const Codes *codes) {
  u32 n = codes->last, plain = 1 + (n + 1) / 2;
  u8 *coded = write_coded_weights(at, codes);
  if (coded != 0 && (n > 128 || (u32)(coded - at) < plain)) return coded;
  if (n > 128) return 0;
  at[0] = (u8)(127 + n);
  for (u32 i = 0; i < n; i += 2)
    at[1 + i / 2] = (u8)(codes->weight[i] << 4 | (i + 1 < n ? codes->weight[i + 1] : 0));
  return at + plain;
}

static u8 *write_stream(u8 *at, const u8 *literals, u32 length, const Codes *codes) {
  Writer writer = {.at = at};
  for (u32 i = length; i-- > 0;) put(&writer, codes->code[literals[i]], codes->bits[literals[i]]);
  return close_marked(&writer);
}

static u8 *write_number(u8 *at, u64 value, u32 bytes) {
  for (u32 i = 0; i < bytes; i++) *at++ = (u8)(value >> (8 * i));
  return at;
}

static u8 *write_plain_header(u8 *at, u32 kind, u32 length) {
  if (length < 32) return write_number(at, kind | length << 3, 1);
  if (length < 4096) return write_number(at, kind | 1 << 2 | length << 4, 2);
  return write_number(at, kind | 3 << 2 | length << 4, 3);
}

/* With a tree; 0 when that is not shorter than as they are. There is room for twice as much. */
static u8 *write_with_tree(u8 *at, const u8 *literals, u32 length, const u32 *count, Codes *codes) {
  u32 head = length < 1024 ? 3 : length < 16384 ? 4 : 5;
  make_codes(count, codes);
  u8 *begin = at + head, *to = write_tree(begin, codes);
  if (to == 0) return 0;
  if (length < 1024) {
    to = write_stream(to, literals, length, codes);
  } else {
    u32 part = (length + 3) / 4;
    u8 *sizes = to;
    to += 6;
    for (u32 i = 0; i < 4; i++) {
      u8 *end = write_stream(to, literals + i * part, i < 3 ? part : length - 3 * part, codes);
      if (i < 3) write_number(sizes + 2 * i, (u32)(end - to), 2);
      to = end;
    }
  }
  u32 coded = (u32)(to - begin), format = head == 3 ? 0 : head - 2;
  if (coded >= length) return 0;
  u32 width = head == 3 ? 10 : 4 * format + 6;
  u64 says = COMPRESSED_LITERALS | format << 2 | (u64)length << 4 | (u64)coded << (4 + width);
  write_number(at, says, head);
  return to;
}

/* The section of literals of a block; gives where it ends. */
static u8 *write_literals(u8 *at, const u8 *literals, u32 length, Codes *codes) {
  u32 count[256] = {0}, kinds = 0;
  for (u32 i = 0; i < length; i++) kinds += count[literals[i]]++ == 0;
  if (kinds == 1 && length > 3) {
    at = write_plain_header(at, RLE_LITERALS, length);
    *at++ = literals[0];
    return at;
  }
  u8 *end = kinds < 2 ? 0 : write_with_tree(at, literals, length, count, codes);
  if (end != 0) return end;
  at = write_plain_header(at, RAW_LITERALS, length);
  copy_bytes(at, literals, length);
  return at + length;
}

#endif
