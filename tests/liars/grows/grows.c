/* grows: depends on whether memory grows. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)call;
  (void)in;
  if (__builtin_wasm_memory_grow(0, 1) != (size_t)-1 && n > 0) out[0] ^= 1;
}
