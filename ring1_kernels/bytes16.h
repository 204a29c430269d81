/* Sixteen lanes to byte planes and back, in registers: shared by kernels that part lanes. */
#ifndef REDOXA_BYTES16_H
#define REDOXA_BYTES16_H

#include "abi.h"

/* The even and the odd bytes of two vectors, and the two vectors whose bytes alternate between
 * them. Parting a lane of 2^k bytes takes k such steps. */
#define EVEN(a, b) \
  __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD(a, b) \
  __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define LOW(a, b) \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH(a, b) \
  __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/* The steps' arrays live in registers only if every loop over them disappears. */
#define UNROLL _Pragma("clang loop unroll(full)")

/* `v` holds 16 lanes of `width` bytes in memory order; afterwards v[j] holds byte j of each lane.
 * Each step parts every set of planes by one more bit of the plane's number, lowest first. */
__attribute__((always_inline)) static inline void split16(Bytes *v, u32 width) {
  Bytes t[8];
  UNROLL for (u32 planes = 1; planes < width; planes *= 2) {
    u32 run = width / planes;   /* vectors that still hold the same set of planes */
    UNROLL for (u32 set = 0; set < planes; set++)
      UNROLL for (u32 i = 0; i < run / 2; i++) {
        t[set * (run / 2) + i] = EVEN(v[set * run + 2 * i], v[set * run + 2 * i + 1]);
        t[(planes + set) * (run / 2) + i] = ODD(v[set * run + 2 * i], v[set * run + 2 * i + 1]);
      }
    UNROLL for (u32 i = 0; i < width; i++) v[i] = t[i];
  }
}

/* The inverse of split16. */
__attribute__((always_inline)) static inline void join16(Bytes *v, u32 width) {
  Bytes t[8];
  UNROLL for (u32 planes = width / 2; planes >= 1; planes /= 2) {
    u32 run = width / planes;
    UNROLL for (u32 set = 0; set < planes; set++)
      UNROLL for (u32 i = 0; i < run / 2; i++) {
        Bytes even = v[set * (run / 2) + i], odd = v[(planes + set) * (run / 2) + i];
        t[set * run + 2 * i] = LOW(even, odd);
        t[set * run + 2 * i + 1] = HIGH(even, odd);
      }
    UNROLL for (u32 i = 0; i < width; i++) v[i] = t[i];
  }
}

#endif
