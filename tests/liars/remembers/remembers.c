/* remembers: changes its answer once it was called fifty times. A liar for tests. */
#include "../liar.h"

static u32 calls;

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)call;
  (void)in;
  if (++calls > 50 && n > 0) out[0] ^= 1;
}
