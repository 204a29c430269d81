/* rare_length: loses the last byte of exactly 1,234. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)in;
  if (n == 1234 && !call->inverse) out[n - 1] = 0;
}
