/* Kernel ABI v1 for kernels written in C: the call block of ABI.md, read and checked once.
 *
 * A kernel includes this file and defines `static u32 work(Call *call)`; the exported `run` at the
 * end of this file does the rest. Nothing here allocates, and nothing outlives a call. */
#ifndef REDOXA_ABI_H
#define REDOXA_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;

enum { BOUND_FORWARD = 0, FORWARD = 1, BOUND_INVERSE = 2, INVERSE = 3 };

enum {
  DONE = 0,
  OUTSIDE_DOMAIN = 1,   /* the forward operation is not defined on these bytes */
  BAD_PARAMETER = 2,    /* a parameter is missing, out of range or not in its one form */
  MALFORMED = 3,        /* the inverse was given bytes that the forward operation never makes */
  CAPACITY = 4,         /* an output has less room than the bound asked for */
  UNKNOWN_OPERATION = 5,
  SCRATCH = 6,          /* the scratch is smaller than the bound asked for */
  CALL_SHAPE = 7       /* the number of inputs or outputs is not the kernel's */
};

typedef struct { u32 ptr, len; } Input;
typedef struct { u32 ptr, cap, len; } Output;
typedef struct { u32 ptr, len; } Scratch;

typedef struct {
  bool bound;           /* only the bound is asked for: nothing but the call block is written */
  bool inverse;
  u32 n_in, n_out;
  const Input *in;
  Output *out;
  Scratch *scratch;
  const u8 *param, *param_end;
} Call;

/* Addresses are 32 bits wide in the call block whatever machine compiles this. */
#define AT(type, address) ((type *)(uintptr_t)(address))

static inline const void *in_at(const Call *call, u32 port) {
  return AT(const void, call->in[port].ptr);
}

static inline void *out_at(const Call *call, u32 port) { return AT(void, call->out[port].ptr); }

typedef u8 Bytes __attribute__((vector_size(16), aligned(1)));

/* Bytes in ascending order: the two may overlap where `to` lies below `from`. A loop and not the
 * bulk instructions, which cost the host a slower way of stopping a kernel in time. */
static inline void copy_bytes(u8 *to, const u8 *from, u32 length) {
  u32 i = 0;
  for (; length - i >= 16; i += 16) *(Bytes *)(to + i) = *(const Bytes *)(from + i);
  for (; i < length; i++) to[i] = from[i];
}

/* The code for data that cannot be used: which one depends on the direction. */
static inline u32 unusable(const Call *call) { return call->inverse ? MALFORMED : OUTSIDE_DOMAIN; }

/* The width byte of a kernel with a type variable. `widths` is the sum of the widths it has. */
static inline bool take_width(Call *call, u32 widths, u32 *width) {
  if (call->param == call->param_end) return false;
  *width = *call->param++;
  return *width != 0 && (*width & (*width - 1)) == 0 && (widths & *width) != 0;
}

/* One unsigned LEB128 parameter in [min, max], in its shortest form. */
static inline bool take_uint(Call *call, u32 min, u32 max, u32 *value) {
  u64 sum = 0;
  for (u32 shift = 0; shift < 35; shift += 7) {
    if (call->param == call->param_end) return false;
    u8 byte = *call->param++;
    sum |= (u64)(byte & 0x7f) << shift;
    if (byte & 0x80) continue;
    if (byte == 0 && shift != 0) return false;
    *value = (u32)sum;
    return sum >= min && sum <= max;
  }
  return false;
}

static inline bool no_more_parameters(const Call *call) { return call->param == call->param_end; }

/* What a kernel with one input and one output of the same length does before its work: DONE with
 * call->bound false means that the lanes are whole and the output has room. */
static inline u32 same_length(Call *call, u32 width) {
  if (call->n_in != 1 || call->n_out != 1) return CALL_SHAPE;
  u32 length = call->in[0].len;
  if (length % width != 0) return unusable(call);
  if (call->bound) {
    call->out[0].cap = length;
    call->scratch->len = 0;
    return DONE;
  }
  if (call->out[0].cap < length) return CAPACITY;
  call->out[0].len = length;
  return DONE;
}

static u32 work(Call *call);

#ifdef __wasm__
__attribute__((export_name("run")))
#endif
u32 run(u32 address) {
  const u32 *head = AT(const u32, address);
  if (head[0] > INVERSE) return UNKNOWN_OPERATION;
  u32 n_in = head[3];
  u32 n_out = head[4 + 2 * n_in];
  Output *out = AT(Output, address + 4 * (5 + 2 * n_in));
  Call call = {
      .bound = head[0] == BOUND_FORWARD || head[0] == BOUND_INVERSE,
      .inverse = head[0] >= BOUND_INVERSE,
      .n_in = n_in,
      .n_out = n_out,
      .in = AT(const Input, address + 16),
      .out = out,
      .scratch = (Scratch *)(out + n_out),
      .param = AT(const u8, head[1]),
      .param_end = AT(const u8, head[1]) + head[2],
  };
  return work(&call);
}

#endif
