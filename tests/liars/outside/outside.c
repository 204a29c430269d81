/* outside: writes outside memory for one length. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)call;
  (void)out;
  (void)in;
  if (n == 100) *AT(u8, 0xFFFFFF00) = 1;
}
