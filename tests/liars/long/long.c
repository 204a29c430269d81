/* long: loses a bit of data of 65,536 bytes and more. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  if (n >= 65536 && !call->inverse) out[n / 2] = in[n / 2] ^ 1;
}
