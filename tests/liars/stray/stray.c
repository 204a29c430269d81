/* stray: writes a byte behind its output. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)call;
  (void)in;
  out[n] = 0;
  out[n + 3] = 1;
}
