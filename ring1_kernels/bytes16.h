/* Sixteen lanes to byte planes and back, in registers: shared by kernels that part lanes. */
#ifndef REDOXA_BYTES16_H
#define REDOXA_BYTES16_H

#include "lanes.h"

/* The steps' arrays live in registers only if every loop over them disappears. */
#define UNROLL _Pragma("clang loop unroll(full)")

/* `v` holds 16 lanes of `width` bytes in memory order; afterwards v[j] holds byte j of each lane.
 * Each step parts every set of planes by one more bit of the plane's number, lowest first, so a lane
 * of 2^k bytes takes k of them. */
__attribute__((always_inline)) static inline void split16(Bytes *v, u32 width) {
  Bytes t[8];
  UNROLL for (u32 planes = 1; planes < width; planes *= 2) {
    u32 run = width / planes;   /* vectors that still hold the same set of planes */
    UNROLL for (u32 set = 0; set < planes; set++)
      UNROLL for (u32 i = 0; i < run / 2; i++) {
        t[set * (run / 2) + i] = EVEN_u8(v[set * run + 2 * i], v[set * run + 2 * i + 1]);
        t[(planes + set) * (run / 2) + i] =
            ODD_u8(v[set * run + 2 * i], v[set * run + 2 * i + 1]);
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
        t[set * run + 2 * i] = FIRST_u8(even, odd);
        t[set * run + 2 * i + 1] = SECOND_u8(even, odd);
      }
    UNROLL for (u32 i = 0; i < width; i++) v[i] = t[i];
  }
}

#endif
