/* too_short: claims fewer bytes than it was given, from 64 on. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)out;
  (void)in;
  if (n >= 64) call->out[0].len = n - 1;
}
