/* dirty_scratch: depends on bytes behind the scratch it asked for. A liar for tests. */
#define SCRATCH_SAID 64
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)in;
  const u8 *scratch = AT(const u8, call->scratch->ptr);
  if (n > 0) out[0] ^= scratch[80] & 1;
}
