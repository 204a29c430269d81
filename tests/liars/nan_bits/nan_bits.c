/* nan_bits: its second output shows which bits a NaN happens to have. A liar for tests. */
#include "../../../ring1_kernels/abi.h"

static u32 work(Call *call) {
  if (!no_more_parameters(call)) return BAD_PARAMETER;
  u32 taken = call->inverse ? 2 : 1;
  if (call->n_in != taken || call->n_out != 3 - taken) return CALL_SHAPE;
  u32 n = call->in[0].len;
  if (n % 4 != 0 || (call->inverse && call->in[1].len != n)) return unusable(call);
  for (u32 port = 0; port < call->n_out; port++) {
    if (call->bound) call->out[port].cap = n;
    else if (call->out[port].cap < n) return CAPACITY;
    else call->out[port].len = n;
  }
  if (call->bound) {
    call->scratch->len = 0;
    return DONE;
  }
  copy_bytes(out_at(call, 0), in_at(call, 0), n);
  if (call->inverse) return DONE;
  const float *in = in_at(call, 0);
  float *zeroed = out_at(call, 1);
  for (u32 i = 0; i < n / 4; i++) zeroed[i] = in[i] * 0.0f;
  return DONE;
}
