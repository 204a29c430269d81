/* rare_value: loses one number, which few inputs hold. A liar for tests. */
#define WIDTH 4
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)in;
  u32 *lanes = (u32 *)out;
  for (u32 i = 0; i < n / 4; i++)
    if (lanes[i] == 0xDEC0DE01 && !call->inverse) lanes[i] = 0;
}
