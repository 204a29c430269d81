/* reads_beyond: mixes in the byte behind its input. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)call;
  if (n > 0) out[0] ^= in[n + 2] & 1;
}
