/* slow_once: never ends on one number. A liar for tests. */
#define WIDTH 2
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)call;
  (void)out;
  const u16 *lanes = (const u16 *)in;
  for (u32 i = 0; i < n / 2; i++)
    for (volatile u32 again = lanes[i] == 0xBEEF; again;) again = 1;
}
