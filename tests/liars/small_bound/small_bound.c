/* small_bound: says that it needs less room than it does. A liar for tests. */
#define SAID(length) ((length) > 256 ? 256 : (length))
#include "../liar.h"

static void lie(Call *call, u8 *out, const u8 *in, u32 n) {
  (void)out;
  (void)in;
  call->out[0].len = n;
}
