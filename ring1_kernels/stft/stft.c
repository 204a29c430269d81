/* stft: spectra of overlapping frames, and what going back from them does not reach. See spec.md. */
#include "../fft.h"

enum { ZERO, PERIODIC, REFLECT, CAUSAL };
enum { HANN, SINE, RECTANGLE };

typedef struct {
  u32 size, hop, window, edge;
  u32 n;            /* lanes of the signal */
  u32 frames;
  u32 before;       /* how many lanes before its own first one the first frame begins */
} Shape;

static Shape shape_of(u32 n, u32 log_size, u32 overlap, u32 window, u32 edge) {
  Shape shape = {.size = 1u << log_size, .window = window, .edge = edge, .n = n};
  shape.hop = overlap < log_size ? shape.size >> overlap : 1;
  u32 hops = n / shape.hop + (n % shape.hop != 0);
  bool causal = edge == CAUSAL;
  shape.frames = n == 0 ? 0 : causal ? hops : hops + 1;
  shape.before = causal ? shape.size - shape.hop : shape.size / 2;
  return shape;
}

/* Both in lanes; a spectrum has size/2 + 1 complex numbers. */
static inline u32 spectrum_lanes(const Shape *shape) { return shape->size + 2; }
static inline u64 all_lanes(const Shape *shape) {
  return (u64)shape->frames * spectrum_lanes(shape);
}

typedef struct {
  Fft fft;
  double *window, *frame, *spectrum;
  double *sums, *weights;   /* of the lanes of the frame at hand, from all frames so far */
} Work;

static inline u32 scratch_doubles(u32 size) { return fft_doubles(size) + 5 * size + 2; }

static void fill_window(double *window, u32 size, u32 kind) {
  for (u32 i = 0; i < size; i++) {
    double cosine = 0, sine = 0;
    u32 near = 2 * i > size ? size - i : i;
    if (kind == HANN) cos_sin((double)near / (double)size, &cosine, &sine);
    if (kind == SINE) cos_sin((double)(2 * i + 1) / (double)(4 * size), &cosine, &sine);
    window[i] = kind == RECTANGLE ? 1 : kind == HANN ? 0.5 - 0.5 * cosine : sine;
  }
}

static Work work_in(double *memory, const Shape *shape) {
  u32 size = shape->size;
  Work work = {.fft = fft_in(memory, size)};
  work.window = memory + fft_doubles(size);
  work.frame = work.window + size;
  work.spectrum = work.frame + size;
  work.sums = work.spectrum + size + 2;
  work.weights = work.sums + size;
  fill_window(work.window, size, shape->window);
  for (u32 i = 0; i < size; i++) work.sums[i] = work.weights[i] = 0;
  return work;
}

/* Where the first lane of a frame lies in the signal. */
static inline int64_t start_of(const Shape *shape, u32 frame) {
  return (int64_t)frame * shape->hop - shape->before;
}

/* The lane that stands at `at`, past an end: its number, or n where there is a zero. */
static u32 lane_past(const Shape *shape, int64_t at) {
  int64_t n = shape->n, period = 2 * n - 2;
  switch (shape->edge) {
    case PERIODIC: return (u32)((at % n + n) % n);
    case REFLECT:
      if (n == 1) return 0;
      at = (at % period + period) % period;
      return (u32)(at < n ? at : period - at);
    case CAUSAL: return (u32)(at < 0 ? n : n - 1);
    default: return (u32)n;
  }
}

static void read_frame(const Shape *shape, Work *work, Lanes signal, u32 frame) {
  int64_t start = start_of(shape, frame);
  u32 i = 0, size = shape->size;
  while (i < size) {
    int64_t at = start + i;
    if (at >= 0 && at < shape->n) {
      u32 left = shape->n - (u32)at, count = left < size - i ? left : size - i;
      read_lanes(signal, (u32)at, work->frame + i, count);
      i += count;
      continue;
    }
    u32 lane = lane_past(shape, at);
    if (lane == shape->n)
      work->frame[i] = 0;
    else
      read_lanes(signal, lane, work->frame + i, 1);
    i++;
  }
}

/* The spectrum of a frame of the signal. */
static void analyse(const Shape *shape, Work *work, Lanes signal, u32 frame) {
  read_frame(shape, work, signal, frame);
  for (u32 i = 0; i < shape->size; i++) work->frame[i] *= work->window[i];
  fft_forward(&work->fft, work->frame, work->spectrum);
}

/* Adds a frame with that spectrum to the sums; those that no later frame reaches, `done` of them,
 * are then what is reconstructed for the lanes from the frame's start on, in work->frame. */
static u32 synthesise(const Shape *shape, Work *work, Lanes spectra, u32 frame) {
  u32 size = shape->size, lanes = spectrum_lanes(shape);
  read_lanes(spectra, frame * lanes, work->spectrum, lanes);
  fft_inverse(&work->fft, work->spectrum, work->frame);
  double scale = 2 / (double)size;
  for (u32 i = 0; i < size; i++) {
    work->sums[i] += work->frame[i] * scale * work->window[i];
    work->weights[i] += work->window[i] * work->window[i];
  }
  u32 done = frame + 1 < shape->frames ? shape->hop : size;
  for (u32 i = 0; i < done; i++)
    work->frame[i] = work->weights[i] > 0 ? work->sums[i] / work->weights[i] : 0;
  for (u32 i = 0; i < size; i++) {
    work->sums[i] = i + done < size ? work->sums[i + done] : 0;
    work->weights[i] = i + done < size ? work->weights[i + done] : 0;
  }
  return done;
}

/* Goes through the frames; `signal` is read forward and made back. Whether all went well. */
static bool run_frames(const Call *call, const Shape *shape, Work *work, Lanes signal,
                       Lanes spectra, Lanes residual) {
  for (u32 frame = 0; frame < shape->frames; frame++) {
    if (!call->inverse) {
      analyse(shape, work, signal, frame);
      write_lanes(work->spectrum, spectra, frame * spectrum_lanes(shape), spectrum_lanes(shape));
    }
    u32 done = synthesise(shape, work, spectra, frame);
    int64_t start = start_of(shape, frame), end = start + done;
    if (end > shape->n) end = shape->n;
    u32 skipped = start < 0 ? (u32)-start : 0;
    if (end <= start + skipped) continue;
    u32 at = (u32)(start + skipped), count = (u32)(end - at);
    if (call->inverse)
      join_lanes(residual, work->frame + skipped, signal, at, count);
    else
      part_lanes(signal, work->frame + skipped, residual, at, count);
  }
  for (u32 frame = 0; call->inverse && frame < shape->frames; frame++) {
    analyse(shape, work, signal, frame);
    if (!same_lanes(work->spectrum, spectra, frame * spectrum_lanes(shape), spectrum_lanes(shape)))
      return false;
  }
  return true;
}

static u32 work(Call *call) {
  u32 width, log_size, overlap, window, edge;
  if (!take_width(call, 4 | 8, &width) || !take_uint(call, 1, 12, &log_size) ||
      !take_uint(call, 0, 3, &overlap) || !take_uint(call, 0, 2, &window) ||
      !take_uint(call, 0, 3, &edge) || !no_more_parameters(call))
    return BAD_PARAMETER;
  if (!is_transform(call)) return CALL_SHAPE;
  u32 length = call->in[call->inverse ? 1 : 0].len;
  if (length % width != 0) return unusable(call);
  Shape shape = shape_of(length / width, log_size, overlap, window, edge);
  u64 spectra = all_lanes(&shape) * width;
  if (spectra >> 32 != 0 || (call->inverse && call->in[0].len != spectra)) return unusable(call);
  u32 scratch = 8 * scratch_doubles(shape.size);
  u32 refusal = take_room(call, (u32)spectra, length, scratch);
  if (refusal != DONE || call->bound) return refusal;
  Work memory = work_in(AT(double, call->scratch->ptr), &shape);
  Lanes in = {(u8 *)in_at(call, 0), width}, out = {out_at(call, 0), width};
  Lanes residual = {call->inverse ? (u8 *)in_at(call, 1) : out_at(call, 1), width};
  bool whole = call->inverse ? run_frames(call, &shape, &memory, out, in, residual)
                             : run_frames(call, &shape, &memory, in, out, residual);
  return whole ? DONE : MALFORMED;
}
