/* Codes as zlib builds them: of several that are as short, exactly the one that it takes. */
#ifndef DEFLATE_CODES_H
#define DEFLATE_CODES_H

#include "format.h"

enum { MOST_NODES = 2 * LITERALS + 1 };

typedef struct {
  u16 freq[MOST_NODES], parent[MOST_NODES], code[LITERALS];
  u8 length[MOST_NODES];
  u32 last;                /* the last symbol that has a code */
} Tree;

/* Nodes in a heap, the rarest first; behind them, from `taken` on, those that have left it. */
typedef struct {
  u16 node[MOST_NODES];
  u8 depth[MOST_NODES];
  u32 size, taken;
} Heap;

/* The bits of a block under its own codes, and under the fixed ones. */
typedef struct { u32 own, fixed; } Price;

typedef struct {
  u32 symbols, longest;
  u32 (*extra)(u32 symbol);
  u32 (*fixed)(u32 symbol);
} Shape;

static u32 literal_extra(u32 symbol) {
  return symbol <= END_OF_BLOCK ? 0 : length_extra(symbol - END_OF_BLOCK - 1);
}

static u32 repeat_extra(u32 symbol) { return symbol < 16 ? 0 : symbol == 18 ? 7 : symbol - 14; }

static u32 fixed_distance(u32 symbol) {
  (void)symbol;
  return 5;
}

static u32 nothing(u32 symbol) {
  (void)symbol;
  return 0;
}

static const Shape LITERAL_SHAPE = {LITERALS, LONGEST_CODE, literal_extra, fixed_length};
static const Shape DISTANCE_SHAPE = {DISTANCES, LONGEST_CODE, distance_extra, fixed_distance};
static const Shape LENGTH_SHAPE = {CODE_LENGTHS, LONGEST_LENGTH_CODE, repeat_extra, nothing};

/* Of nodes that are as rare the shallower one goes first, and of those alike the one that is met. */
static inline bool goes_first(const Tree *tree, const Heap *heap, u32 one, u32 other) {
  if (tree->freq[one] != tree->freq[other]) return tree->freq[one] < tree->freq[other];
  return heap->depth[one] <= heap->depth[other];
}

static void sift(const Tree *tree, Heap *heap, u32 at) {
  u32 node = heap->node[at];
  for (u32 next = 2 * at; next <= heap->size; next *= 2) {
    if (next < heap->size && goes_first(tree, heap, heap->node[next + 1], heap->node[next])) next++;
    if (goes_first(tree, heap, node, heap->node[next])) break;
    heap->node[at] = heap->node[next];
    at = next;
  }
  heap->node[at] = (u16)node;
}

/* Every node that left the heap, from the root on, is one bit longer than its parent; what is then
 * longer than a code may be is shortened, and others are lengthened in its place. */
static void set_lengths(Tree *tree, const Heap *heap, const Shape *shape, Price *price) {
  u32 count[LONGEST_CODE + 2] = {}, too_long = 0;
  tree->length[heap->node[heap->taken]] = 0;
  for (u32 at = heap->taken + 1; at < MOST_NODES; at++) {
    u32 node = heap->node[at], bits = tree->length[tree->parent[node]] + 1u;
    if (bits > shape->longest) {
      bits = shape->longest;
      too_long++;
    }
    tree->length[node] = (u8)bits;
    if (node > tree->last) continue;
    count[bits]++;
    u32 extra = shape->extra(node);
    price->own += tree->freq[node] * (bits + extra);
    price->fixed += tree->freq[node] * (shape->fixed(node) + extra);
  }
  if (!too_long) return;
  for (i32 left = (i32)too_long; left > 0; left -= 2) {
    u32 bits = shape->longest - 1;
    while (count[bits] == 0) bits--;
    count[bits]--;
    count[bits + 1] += 2;
    count[shape->longest]--;
  }
  u32 at = MOST_NODES;
  for (u32 bits = shape->longest; bits; bits--) {
    for (u32 left = count[bits]; left;) {
      u32 node = heap->node[--at];
      if (node > tree->last) continue;
      price->own += (bits - tree->length[node]) * tree->freq[node];
      tree->length[node] = (u8)bits;
      left--;
    }
  }
}

static void number_codes(Tree *tree) {
  u32 next[LONGEST_CODE + 2] = {}, count[LONGEST_CODE + 1] = {};
  for (u32 i = 0; i <= tree->last; i++) count[tree->length[i]]++;
  count[0] = 0;
  for (u32 bits = 1; bits <= LONGEST_CODE; bits++)
    next[bits + 1] = (next[bits] + count[bits]) << 1;
  for (u32 i = 0; i <= tree->last; i++)
    if (tree->length[i]) tree->code[i] = (u16)reversed(next[tree->length[i]]++, tree->length[i]);
}

/* The codes of symbols that come so often, two at least; what they cost is added to the price. */
static void build(Tree *tree, Heap *heap, const Shape *shape, Price *price) {
  heap->size = 0;
  heap->taken = MOST_NODES;
  i32 last = -1;
  for (u32 i = 0; i < shape->symbols; i++) {
    tree->length[i] = 0;
    if (tree->freq[i] == 0) continue;
    heap->node[++heap->size] = (u16)i;
    heap->depth[i] = 0;
    last = (i32)i;
  }
  while (heap->size < 2) {
    u32 node = last < 2 ? (u32)++last : 0;
    heap->node[++heap->size] = (u16)node;
    tree->freq[node] = 1;
    heap->depth[node] = 0;
    price->own--;
    price->fixed -= shape->fixed(node);
  }
  tree->last = (u32)last;
  for (u32 at = heap->size / 2; at; at--) sift(tree, heap, at);
  for (u32 node = shape->symbols; heap->size > 1; node++) {
    u32 one = heap->node[1];
    heap->node[1] = heap->node[heap->size--];
    sift(tree, heap, 1);
    u32 other = heap->node[1];
    heap->node[--heap->taken] = (u16)one;
    heap->node[--heap->taken] = (u16)other;
    tree->freq[node] = (u16)(tree->freq[one] + tree->freq[other]);
    u8 deeper = heap->depth[one] > heap->depth[other] ? heap->depth[one] : heap->depth[other];
    heap->depth[node] = (u8)(deeper + 1);
    tree->parent[one] = tree->parent[other] = (u16)node;
    heap->node[1] = (u16)node;
    sift(tree, heap, 1);
  }
  heap->node[--heap->taken] = heap->node[1];
  set_lengths(tree, heap, shape, price);
  number_codes(tree);
}

#endif
