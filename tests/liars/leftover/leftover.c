/* leftover: depends on what an earlier call left on the stack. A liar for tests. */
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)call;
  volatile u8 room[256];
  if (n > 0) out[0] ^= room[17] & 1;
  for (u32 i = 0; i < 256; i++) room[i] = n > 0 ? in[i % n] : 0;
}
