/* What all liars have in common: a kernel that copies, and a place where each does otherwise.
 *
 * A liar defines `lie`, which is called once the copy is made, and whichever of these it needs. */
#include "../../ring1_kernels/abi.h"

#ifndef WIDTH
#define WIDTH 1
#endif
#ifndef SAID
#define SAID(length) (length)
#endif
#ifndef SCRATCH_SAID
#define SCRATCH_SAID 0
#endif

static void lie(Call *call, u8 *out, const u8 *in, u32 n);

static u32 work(Call *call) {
  if (!no_more_parameters(call)) return BAD_PARAMETER;
  u32 refusal = same_length(call, WIDTH);
  if (refusal != DONE) return refusal;
  u32 n = call->in[0].len;
  if (call->bound) {
    call->out[0].cap = SAID(n);
    call->scratch->len = SCRATCH_SAID;
    return DONE;
  }
  if (call->scratch->len < SCRATCH_SAID) return SCRATCH;
  u8 *out = out_at(call, 0);
  copy_bytes(out, in_at(call, 0), n);
  lie(call, out, in_at(call, 0), n);
  return DONE;
}
