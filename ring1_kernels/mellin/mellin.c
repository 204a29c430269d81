/* mellin: the Mellin transform of a signal on the line Re s = 1/2, from its lanes regrouped on a
 * geometric grid, and what the grid does not keep. See spec.md. */
#include "../fft.h"

enum { MAX_OCTAVE = 256, CHUNK = 512 };

/* The points of the grid's first octave, 2^(j / octave), by the series of the exponential function. */
static void fill_points(double *points, u32 octave) {
  for (u32 j = 0; j < octave; j++) {
    double x = (double)j / (double)octave * 0.6931471805599453, e = 1.0 / 6402373705728000;
    e = e * x + 1.0 / 355687428096000;
    e = e * x + 1.0 / 20922789888000;
    e = e * x + 1.0 / 1307674368000;
    e = e * x + 1.0 / 87178291200;
    e = e * x + 1.0 / 6227020800;
    e = e * x + 1.0 / 479001600;
    e = e * x + 1.0 / 39916800;
    e = e * x + 1.0 / 3628800;
    e = e * x + 1.0 / 362880;
    e = e * x + 1.0 / 40320;
    e = e * x + 1.0 / 5040;
    e = e * x + 1.0 / 720;
    e = e * x + 1.0 / 120;
    e = e * x + 1.0 / 24;
    e = e * x + 1.0 / 6;
    e = e * x + 1.0 / 2;
    e = e * x + 1;
    points[j] = e * x + 1;
  }
}

/* How many octaves the time of n lanes, from 1 to n + 1, begins. */
static u32 octaves(u32 n) {
  u32 count = 0;
  while (((u64)1 << count) < (u64)n + 1) count++;
  return count;
}

/* What the Fourier transform takes: the cells of the grid, and zeros up to a power of two. */
static u32 transform_size(u32 cells) {
  u32 size = 2;
  while (size < cells) size *= 2;
  return size;
}

typedef struct {
  u32 n, octave, size;
  Fft fft;
  double *points;    /* of one octave */
  double *cells;     /* a number for each cell, `size` of them, and a 0 */
  double *spectrum;  /* size + 2 */
  double *chunk, *near;
} Work;

static inline u32 scratch_doubles(u32 octave, u32 size) {
  return fft_doubles(size) + octave + 2 * size + 3 + 2 * CHUNK;
}

static Work work_in(double *memory, u32 n, u32 octave, u32 size) {
  Work work = {.n = n, .octave = octave, .size = size, .fft = fft_in(memory, size)};
  work.points = memory + fft_doubles(size);
  work.cells = work.points + octave;
  work.spectrum = work.cells + size + 1;
  work.chunk = work.spectrum + size + 2;
  work.near = work.chunk + CHUNK;
  fill_points(work.points, octave);
  return work;
}

/* A place on the time axis and the cell it lies in. */
typedef struct {
  double at, start, end;
  double scale;      /* where the cell's octave begins */
  u32 cell, step;    /* among all, and in its octave */
} Place;

static inline void enter_cell(const Work *work, Place *place) {
  bool last = place->step + 1 == work->octave;
  place->start = place->at;
  place->end = place->scale * (last ? 2 : work->points[place->step + 1]);
}

static inline Place beginning(const Work *work) {
  Place place = {.at = 1, .scale = 1};
  enter_cell(work, &place);
  return place;
}

static inline void next_cell(const Work *work, Place *place) {
  place->at = place->end;
  place->cell++;
  if (++place->step == work->octave) {
    place->step = 0;
    place->scale *= 2;
  }
  enter_cell(work, place);
}

static inline double root_of_width(const Place *place) {
  return __builtin_sqrt(place->end - place->start);
}

/* The spectrum of the lanes: each cell gets what lies in it, and is made one of equal energy. */
static void analyse(Work *work, Lanes lanes) {
  for (u32 i = 0; i <= work->size; i++) work->cells[i] = 0;
  Place place = beginning(work);
  double sum = 0;
  for (u32 first = 0; first < work->n; first += CHUNK) {
    u32 count = work->n - first < CHUNK ? work->n - first : CHUNK;
    read_lanes(lanes, first, work->chunk, count);
    for (u32 i = 0; i < count; i++) {
      double x = work->chunk[i], end = (double)(first + i) + 2;
      while (place.end <= end) {
        sum += x * (place.end - place.at);
        work->cells[place.cell] = sum / root_of_width(&place);
        sum = 0;
        next_cell(work, &place);
      }
      if (place.at < end) sum += x * (end - place.at);
      place.at = end;
    }
  }
  if (place.at > place.start) work->cells[place.cell] = sum / root_of_width(&place);
  fft_forward(&work->fft, work->cells, work->spectrum);
  double scale = __builtin_sqrt(1 / (double)work->size);
  for (u32 i = 0; i < work->size + 2; i++) work->spectrum[i] *= scale;
}

/* Cells from the spectrum in those lanes. */
static void read_cells(Work *work, Lanes spectrum) {
  read_lanes(spectrum, 0, work->spectrum, work->size + 2);
  fft_inverse(&work->fft, work->spectrum, work->cells);
  double scale = 2 * __builtin_sqrt(1 / (double)work->size);
  for (u32 i = 0; i < work->size; i++) work->cells[i] *= scale;
  work->cells[work->size] = 0;
}

/* Gives every lane what its cells hold, and takes or adds the residual. */
static void spread(const Call *call, Work *work, Lanes lanes, Lanes residual) {
  Place place = beginning(work);
  double height = work->cells[0] / root_of_width(&place);
  for (u32 first = 0; first < work->n; first += CHUNK) {
    u32 count = work->n - first < CHUNK ? work->n - first : CHUNK;
    for (u32 i = 0; i < count; i++) {
      double near = 0, end = (double)(first + i) + 2;
      while (place.end <= end) {
        near += height * (place.end - place.at);
        next_cell(work, &place);
        height = work->cells[place.cell] / root_of_width(&place);
      }
      if (place.at < end) near += height * (end - place.at);
      place.at = end;
      work->near[i] = near;
    }
    if (call->inverse)
      join_lanes(residual, work->near, lanes, first, count);
    else
      part_lanes(lanes, work->near, residual, first, count);
  }
}

/* Whether all went well. */
static bool run_whole(const Call *call, Work *work, u32 width) {
  Lanes in = {(u8 *)in_at(call, 0), width}, out = {out_at(call, 0), width};
  Lanes residual = {call->inverse ? (u8 *)in_at(call, 1) : out_at(call, 1), width};
  u32 lanes = work->size + 2;
  if (call->inverse) {
    read_cells(work, in);
    spread(call, work, out, residual);
    analyse(work, out);
    return same_lanes(work->spectrum, in, 0, lanes);
  }
  analyse(work, in);
  write_lanes(work->spectrum, out, 0, lanes);
  read_cells(work, out);
  spread(call, work, in, residual);
  return true;
}

static u32 work(Call *call) {
  u32 width, octave;
  if (!take_width(call, 4 | 8, &width) || !take_uint(call, 1, MAX_OCTAVE, &octave) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  if (!is_transform(call)) return CALL_SHAPE;
  u32 length = call->in[call->inverse ? 1 : 0].len, n = length / width;
  if (length % width != 0) return unusable(call);
  u32 size = transform_size(octave * octaves(n));
  u32 spectrum = n == 0 ? 0 : (size + 2) * width;
  if (call->inverse && call->in[0].len != spectrum) return MALFORMED;
  u32 scratch = n == 0 ? 0 : 8 * scratch_doubles(octave, size);
  u32 refusal = take_room(call, spectrum, length, scratch);
  if (refusal != DONE || call->bound) return refusal;
  if (n == 0) return DONE;
  Work work = work_in(AT(double, call->scratch->ptr), n, octave, size);
  return run_whole(call, &work, width) ? DONE : MALFORMED;
}
