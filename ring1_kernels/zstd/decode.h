/* The inverse: frames one after another, each checked before anything of it is believed. */
#ifndef ZSTD_DECODE_H
#define ZSTD_DECODE_H

#include "huffman.h"
#include "sequences.h"
#include "xxh64.h"

typedef struct {
  u64 content;             /* how many bytes it says it has, where it does */
  u32 max_block;           /* no block makes more bytes than this */
  bool says_content, has_checksum;
} Frame;

typedef struct {
  u32 kind, length;
  bool last;
} Block;

/* What one frame's blocks hand on, and room for the literals of a block. */
typedef struct {
  Tree tree;
  Table tables[3];
  u32 recent[3];
  u8 literals[];
} Workspace;

static u64 read_number_of(const u8 *at, u32 bytes) {
  u64 value = 0;
  for (u32 i = 0; i < bytes; i++) value |= (u64)at[i] << (8 * i);
  return value;
}

/* Frames of other users, which decode to nothing. Gives where one ends, `at` where none begins. */
static const u8 *skip(const u8 *at, const u8 *end) {
  while (end - at >= 8 && (load32(at) & ~15u) == SKIPPABLE) {
    u32 length = load32(at + 4);
    if (length > (u32)(end - at) - 8) return at;
    at += 8 + length;
  }
  return at;
}

/* A frame's header; gives where it ends, 0 when it is malformed or needs a dictionary. */
static const u8 *read_frame(const u8 *at, const u8 *end, Frame *frame) {
  static const u8 BYTES_OF_ID[4] = {0, 1, 2, 4}, BYTES_OF_CONTENT[4] = {0, 2, 4, 8};
  if (end - at < 6 || load32(at) != MAGIC) return 0;
  u32 says = at[4], single = says >> 5 & 1;
  u32 id = BYTES_OF_ID[says & 3], content = BYTES_OF_CONTENT[says >> 6];
  if (content == 0) content = single;
  if ((says & 8) != 0 || (u32)(end - at) < 5 + !single + id + content) return 0;
  at += 5;
  u32 window = single ? 0 : *at++;
  if (read_number_of(at, id) != 0) return 0;
  at += id;
  frame->says_content = content != 0;
  frame->has_checksum = (says & 4) != 0;
  frame->content = read_number_of(at, content) + (content == 2 ? 256 : 0);
  u64 reach = (u64)(8 + (window & 7)) << (7 + (window >> 3));
  if (single) reach = frame->content;
  frame->max_block = reach < MAX_BLOCK ? (u32)reach : MAX_BLOCK;
  return at + content;
}

/* A block's header; gives where its content begins, 0 when malformed. */
static const u8 *read_block(const u8 *at, const u8 *end, const Frame *frame, Block *block) {
  if (end - at < 3) return 0;
  u32 head = load16(at) | (u32)at[2] << 16;
  *block = (Block){.kind = head >> 1 & 3, .length = head >> 3, .last = (head & 1) != 0};
  at += 3;
  if (block->kind > COMPRESSED_BLOCK || block->length > frame->max_block) return 0;
  u32 bytes = block->kind == RLE_BLOCK ? 1 : block->length;
  return bytes > (u32)(end - at) ? 0 : at;
}

static const u8 *behind_block(const u8 *at, const Block *block) {
  return at + (block->kind == RLE_BLOCK ? 1 : block->length);
}

/* How many bytes the frames at `at` can make at most; -1 when that cannot be. */
static i32 most_bytes(const u8 *at, const u8 *end) {
  u64 total = 0;
  for (at = skip(at, end); at != end; at = skip(at, end)) {
    Frame frame;
    Block block = {.last = false};
    u64 most = 0;
    at = read_frame(at, end, &frame);
    while (at != 0 && !block.last) {
      at = read_block(at, end, &frame, &block);
      if (at == 0) return -1;
      most += block.kind == COMPRESSED_BLOCK ? frame.max_block : block.length;
      at = behind_block(at, &block);
    }
    if (at == 0 || end - at < (frame.has_checksum ? 4 : 0)) return -1;
    if (frame.has_checksum) at += 4;
    if (frame.says_content && frame.content > most) return -1;
    total += frame.says_content ? frame.content : most;
    if (total > MAX_LENGTH) return -1;
  }
  return (i32)total;
}

/* What the header of a section of literals says. */
typedef struct {
  u32 kind, length, coded, streams;
} Literals;

static const u8 *read_literals_header(const u8 *at, const u8 *end, Literals *head) {
  if (at == end) return 0;
  u32 format = *at >> 2 & 3, plain = (*at & 3) < COMPRESSED_LITERALS;
  u32 bytes = plain ? (format == 3 ? 3 : (format & 1) + 1) : (format < 2 ? 3 : format + 2);
  if ((u32)(end - at) < bytes) return 0;
  u64 bits = read_number_of(at, bytes);
  head->kind = (u32)bits & 3;
  head->streams = format == 0 ? 1 : 4;
  if (plain) {
    head->length = (u32)(bits >> (format & 1 ? 4 : 3));
    head->coded = head->kind == RLE_LITERALS ? 1 : head->length;
  } else {
    u32 width = format < 2 ? 10 : 4 * format + 6, mask = (1u << width) - 1;
    head->length = (u32)(bits >> 4) & mask;
    head->coded = (u32)(bits >> (4 + width)) & mask;
  }
  return at + bytes;
}

/* The literals of a block, into the workspace or left where they are; gives where the section
 * ends, 0 when malformed. `input_end` is where reading has to stop. */
static const u8 *decode_literals(const u8 *at, const u8 *end, const u8 *input_end, u32 most,
                                 Workspace *work, Span *span) {
  Literals head;
  at = read_literals_header(at, end, &head);
  if (at == 0 || head.length > most || head.coded > (u32)(end - at)) return 0;
  const u8 *behind = at + head.coded;
  span->literals = work->literals;
  if (head.kind == RAW_LITERALS) {
    if (input_end - behind >= SLACK)
      span->literals = at;
    else
      copy_bytes(work->literals, at, head.length);
  } else if (head.kind == RLE_LITERALS) {
    Bytes all = (Bytes){} + *at;
    for (u32 i = 0; i < head.length; i += 16) *(Bytes *)(work->literals + i) = all;
  } else {
    if (head.kind == COMPRESSED_LITERALS) {
      u32 taken = read_tree(at, head.coded, &work->tree);
      if (taken == 0) return 0;
      at += taken;
    }
    if (!work->tree.there) return 0;
    bool whole = head.streams == 1
        ? decode_one(at, behind, &work->tree, work->literals, head.length)
        : decode_four(at, behind, &work->tree, work->literals, head.length);
    if (!whole) return 0;
  }
  span->literals_end = span->literals + head.length;
  return behind;
}

static bool decode_compressed(const u8 *at, const u8 *end, const u8 *input_end, u32 most,
                              Workspace *work, Span *span) {
  at = decode_literals(at, end, input_end, most, work, span);
  if (at == 0 || !decode_sequences(at, end, work->tables, work->recent, span)) return false;
  u32 rest = (u32)(span->literals_end - span->literals);
  if (rest > (u32)(span->stop - span->out)) return false;
  copy_bytes(span->out, span->literals, rest);
  span->out += rest;
  return true;
}

static bool decode_block(const u8 *at, const u8 *input_end, const Block *block, const Frame *frame,
                         u32 room, Workspace *work, Span *span) {
  u32 most = room < frame->max_block ? room : frame->max_block;
  span->stop = span->out + most;
  if (block->kind == COMPRESSED_BLOCK)
    return decode_compressed(at, at + block->length, input_end, most, work, span);
  if (block->length > most) return false;
  if (block->kind == RAW_BLOCK)
    copy_bytes(span->out, at, block->length);
  else
    for (u32 i = 0; i < block->length; i++) span->out[i] = *at;
  span->out += block->length;
  return true;
}

/* One frame to `out`; gives where it ends in the input, 0 when malformed. */
static const u8 *decode_frame(const u8 *at, const u8 *end, u8 **out, const u8 *out_end,
                              Workspace *work) {
  static const u32 RECENT[3] = FIRST_RECENT;
  Frame frame;
  Block block = {.last = false};
  Span span = {.out = *out, .first = *out};
  at = read_frame(at, end, &frame);
  if (at == 0 || (frame.says_content && frame.content > (u64)(out_end - *out))) return 0;
  const u8 *stop = frame.says_content ? *out + frame.content : out_end;
  work->tree.there = false;
  for (u32 i = 0; i < 3; i++) work->tables[i].there = false, work->recent[i] = RECENT[i];
  while (!block.last) {
    at = read_block(at, end, &frame, &block);
    if (at == 0) return 0;
    if (!decode_block(at, end, &block, &frame, (u32)(stop - span.out), work, &span)) return 0;
    at = behind_block(at, &block);
  }
  if (frame.says_content && span.out != stop) return 0;
  if (frame.has_checksum) {
    if (end - at < 4 || load32(at) != (u32)xxh64(*out, (u32)(span.out - *out))) return 0;
    at += 4;
  }
  *out = span.out;
  return at;
}

static u32 decode(Call *call) {
  const u8 *at = in_at(call, 0), *end = at + call->in[0].len;
  i32 most = most_bytes(at, end);
  if (most < 0) return MALFORMED;
  u32 room = most == 0 ? 0 : (u32)most + SLACK;
  u32 literals = most < MAX_BLOCK ? (u32)most : MAX_BLOCK;
  u32 scratch = call->in[0].len == 0 ? 0 : (u32)sizeof(Workspace) + literals + SLACK;
  if (call->bound) {
    call->out[0].cap = room;
    call->scratch->len = scratch;
    return DONE;
  }
  if (call->out[0].cap < room) return CAPACITY;
  if (call->scratch->len < scratch) return SCRATCH;
  u8 *start = out_at(call, 0), *out = start;
  for (at = skip(at, end); at != end; at = skip(at, end)) {
    at = decode_frame(at, end, &out, start + most, AT(Workspace, call->scratch->ptr));
    if (at == 0) return MALFORMED;
  }
  call->out[0].len = (u32)(out - start);
  return DONE;
}

#endif
