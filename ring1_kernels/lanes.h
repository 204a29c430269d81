/* Whole numbers and vectors of them by the name of their lanes: S_u16 is u16 with a sign, V_u16 a
 * vector of u16 at any address, SV_u16 one with signs. A shift of a negative number to the right
 * rounds down, as the pinned compiler has it. */
#ifndef REDOXA_LANES_H
#define REDOXA_LANES_H

#include "abi.h"

typedef int8_t i8;
typedef int16_t i16;
typedef int64_t i64;

typedef i8 S_u8;
typedef i16 S_u16;
typedef i32 S_u32;
typedef i64 S_u64;

#define VECTOR __attribute__((vector_size(16), aligned(1)))
typedef u8 V_u8 VECTOR;
typedef u16 V_u16 VECTOR;
typedef u32 V_u32 VECTOR;
typedef u64 V_u64 VECTOR;
typedef i8 SV_u8 VECTOR;
typedef i16 SV_u16 VECTOR;
typedef i32 SV_u32 VECTOR;
typedef i64 SV_u64 VECTOR;

#define PER_VECTOR(T) (16 / (u32)sizeof(T))
#define LOAD(T, at) (*(const V_##T *)(at))
#define STORE(T, at, v) (*(V_##T *)(at) = (v))

/* Of two neighbouring vectors the even and the odd lanes; FIRST and SECOND are the way back. */
#define EVEN_u8(a, b) \
  __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30)
#define ODD_u8(a, b) \
  __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31)
#define FIRST_u8(e, o) \
  __builtin_shufflevector(e, o, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define SECOND_u8(e, o) \
  __builtin_shufflevector(e, o, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define EVEN_u16(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6, 8, 10, 12, 14)
#define ODD_u16(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
#define FIRST_u16(e, o) __builtin_shufflevector(e, o, 0, 8, 1, 9, 2, 10, 3, 11)
#define SECOND_u16(e, o) __builtin_shufflevector(e, o, 4, 12, 5, 13, 6, 14, 7, 15)
#define EVEN_u32(a, b) __builtin_shufflevector(a, b, 0, 2, 4, 6)
#define ODD_u32(a, b) __builtin_shufflevector(a, b, 1, 3, 5, 7)
#define FIRST_u32(e, o) __builtin_shufflevector(e, o, 0, 4, 1, 5)
#define SECOND_u32(e, o) __builtin_shufflevector(e, o, 2, 6, 3, 7)
#define EVEN_u64(a, b) __builtin_shufflevector(a, b, 0, 2)
#define ODD_u64(a, b) __builtin_shufflevector(a, b, 1, 3)
#define FIRST_u64(e, o) __builtin_shufflevector(e, o, 0, 2)
#define SECOND_u64(e, o) __builtin_shufflevector(e, o, 1, 3)

/* The vector that begins one lane before `b`, or one lane after `a`, where b follows a. */
#define BEFORE_u8(a, b) \
  __builtin_shufflevector(a, b, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30)
#define AFTER_u8(a, b) \
  __builtin_shufflevector(a, b, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16)
#define BEFORE_u16(a, b) __builtin_shufflevector(a, b, 7, 8, 9, 10, 11, 12, 13, 14)
#define AFTER_u16(a, b) __builtin_shufflevector(a, b, 1, 2, 3, 4, 5, 6, 7, 8)
#define BEFORE_u32(a, b) __builtin_shufflevector(a, b, 3, 4, 5, 6)
#define AFTER_u32(a, b) __builtin_shufflevector(a, b, 1, 2, 3, 4)
#define BEFORE_u64(a, b) __builtin_shufflevector(a, b, 1, 2)
#define AFTER_u64(a, b) __builtin_shufflevector(a, b, 1, 2)

#endif
