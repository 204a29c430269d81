/* middling: loses a bit of data of 8,192 to 16,383 bytes. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  if (n >> 13 == 1 && !call->inverse) out[n / 2] = in[n / 2] ^ 1;
}
