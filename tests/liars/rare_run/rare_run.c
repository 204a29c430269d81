/* rare_run: loses the end of long runs. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  for (u32 i = 8, run = 0; i < n; i++) {
    run = in[i] == in[i - 1] ? run + 1 : 0;
    if (run >= 20 && !call->inverse) out[i] = 0x55;
  }
}
