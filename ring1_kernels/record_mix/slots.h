/* Probabilities by context: buckets in one table, each with a probability for every bit of half a
 * byte. */
#ifndef RECORD_MIX_SLOTS_H
#define RECORD_MIX_SLOTS_H

/* A probability in 4096ths, and how often it was adapted, 15 times or more, in the lowest 4 bits.
 * In the table the highest bit is turned over, so that zeros say one half. */
typedef u16 Slot;
typedef u16 Slots __attribute__((vector_size(16)));

enum { SLOT_ZERO = 0x8000, BUCKET_BYTES = 32 };

/* A check of the context and the slots of the 15 nodes of half a byte. */
typedef union {
  Slot slot[16];
  Slots whole[2];
} Bucket;

/* The bucket of a context: of two neighbours the one that has it, or else the one whose first slot
 * was adapted less often, emptied. */
static inline Bucket *bucket_of(Bucket *table, u32 bits, u32 name) {
  u32 at = name >> (32 - bits);
  u16 check = (u16)(name | 1);
  Bucket *one = table + at, *two = table + (at ^ 1);
  if (one->slot[0] == check) return one;
  if (two->slot[0] == check) return two;
  Bucket *made = (one->slot[1] & 15) <= (two->slot[1] & 15) ? one : two;
  made->whole[0] = made->whole[1] = (Slots){0};
  made->slot[0] = check;
  return made;
}

/* 256 / (count + 3/2), in 256ths of the way. */
static const u8 PACE[16] __attribute__((aligned(16))) = {170, 102, 73, 57, 46, 39, 34, 30,
                                                         27,  24,  22, 20, 19, 18, 16, 15};

/* The pace of each lane's count, in 32768ths. */
static inline Shorts paces(Slots counts) {
#ifdef __wasm__
  /* Sixteen bytes looked up at once. A place past the table gives 0, the upper half of a lane. */
  return (Shorts)wasm_i8x16_swizzle(wasm_v128_load(PACE), (v128_t)(counts | 0xff00)) << 7;
#else
  Shorts made;
  for (u32 lane = 0; lane < 8; lane++) made[lane] = (i16)(PACE[counts[lane]] << 7);
  return made;
#endif
}

/* Eight slots after a bit, each a step nearer to it; 15 bits of a probability while it moves. */
static inline Slots stepped(Slots slots, u32 bit) {
  Slots counts = slots & 15;
  Shorts before = (Shorts)((slots & 0xfff0) >> 1);
  Shorts target = everywhere(bit ? 32767 : 0);
  Shorts after = before + scaled(target - before, paces(counts));
  /* Rounded towards the bit: what is rounded away from it never gets near. */
  after = added(after, everywhere(bit ? 7 : 0));
  return ((Slots)after >> 3 << 4) | (counts + ((Slots)(counts < 15) & 1));
}

#endif
