/* One channel's prediction: least squares over a window that forgets, solved anew now and then.
 *
 * The sums of products r[i][j] of the lanes i and j back need not all be kept up: a sample later,
 * what was i back is `channels` further back, so only the first rows are new and the rest stands in
 * what was kept of earlier samples (the covariance method; Makhoul, Linear prediction, 1975). */
#ifndef ADAPTIVE_LPC_PREDICTOR_H
#define ADAPTIVE_LPC_PREDICTOR_H

enum { MOST_TAPS = 32, MOST_CHANNELS = 8, SOLVED_EVERY = 64, ROWS = 64 };

/* Lanes back from a sample, itself included, in Pairs. */
enum { ROW = MOST_TAPS + 2 };

typedef double Row[ROW] __attribute__((aligned(16)));

typedef struct {
  double weights[MOST_TAPS];              /* the oldest lane's first */
  Row rows[ROWS];                         /* the first rows after each of the latest samples */
  double factor[MOST_TAPS][MOST_TAPS];    /* lower triangular, without its diagonal */
  double inverses[MOST_TAPS];             /* of the diagonal */
  u32 taps, channels, met;
  u32 kept;                               /* for how many samples rows are kept, less 1 */
} Predictor;

/* A sum in four parts, so that it does not wait for itself. */
static inline double dot(const double *a, const double *b, u32 count) {
  Pair sums[2] = {};
  u32 i = 0;
  for (; count - i >= 4; i += 4) {
    sums[0] += PAIR(a + i) * PAIR(b + i);
    sums[1] += PAIR(a + i + 2) * PAIR(b + i + 2);
  }
  for (u32 part = 0; i < count; i++, part++) sums[part / 2][part % 2] += a[i] * b[i];
  Pair sum = sums[0] + sums[1];
  return sum[0] + sum[1];
}

static void prepare(Predictor *p, u32 taps, u32 channels) {
  p->taps = taps;
  p->channels = channels;
  p->met = 0;
  /* Lanes back over channels, and the latest two: 34, 18, 12, 10, 8, 7, 6 and 6 samples. */
  p->kept = ROWS / (channels == 1 ? 1 : channels == 2 ? 2 : channels <= 4 ? 4 : 8) - 1;
  for (u32 i = 0; i < taps; i++) p->weights[i] = 0;
  for (u32 row = 0; row < ROWS; row++)
    for (u32 i = 0; i < ROW; i++) p->rows[row][i] = 0;
}

/* The first rows after a sample. */
static inline Row *rows_after(Predictor *p, u32 sample) {
  return p->rows + (sample & p->kept) * p->channels;
}

/* What is expected of the lane at `now`. */
static inline double predicted(const Predictor *p, const double *now) {
  return dot(p->weights, now - p->taps, p->taps);
}

/* The products r[i][j], for i <= j, of one j after another i, from i = 1 on. */
typedef struct { u32 sample, row, back; } Walk;

static inline Walk walk(const Predictor *p, u32 j) {
  if (p->channels == 1) return (Walk){p->met - 1, 0, p->taps - j + 1};
  return (Walk){p->met, 1, p->taps - j};
}

static inline double take_product(Predictor *p, Walk *at) {
  double product = rows_after(p, at->sample)[at->row][at->back];
  if (++at->row == p->channels) {
    at->row = 0;
    at->sample--;
    at->back += p->channels;
  }
  return product;
}

/* r[0][j]. */
static inline double product_with_latest(Predictor *p, u32 j) {
  return rows_after(p, p->met)[0][p->taps - j];
}

/* The Cholesky factor of the products, a little added to each square; false if there is none. */
static bool factorise(Predictor *p) {
  double more = product_with_latest(p, 0) * 0x1p-30 + 0x1p-40;
  for (u32 i = 0; i < p->taps; i++) {
    double *row = p->factor[i];
    Walk at = walk(p, i + 1);
    for (u32 j = 0; j < i; j++)
      row[j] = (take_product(p, &at) - dot(row, p->factor[j], j)) * p->inverses[j];
    double square = take_product(p, &at) + more - dot(row, row, i);
    if (!(square > 0x1p-60)) return false;
    p->inverses[i] = 1.0 / __builtin_sqrt(square);
  }
  return true;
}

static void solve(Predictor *p) {
  if (!factorise(p)) return;
  double solution[MOST_TAPS];             /* the latest lane's first */
  for (u32 i = 0; i < p->taps; i++)
    solution[i] = (product_with_latest(p, i + 1) - dot(p->factor[i], solution, i)) * p->inverses[i];
  for (u32 i = p->taps; i-- > 0;) {
    solution[i] *= p->inverses[i];
    for (u32 j = 0; j < i; j++) solution[j] -= p->factor[i][j] * solution[i];
  }
  for (u32 i = 0; i < p->taps; i++) p->weights[p->taps - 1 - i] = solution[i];
}

/* The sample at `now` is known. One lane after it is read as well, and counts for nothing. */
static inline void follow(Predictor *p, const double *now, u32 window) {
  double kept = 1.0 - 1.0 / (double)(1u << window);
  const Row *before = rows_after(p, p->met);
  Row *after = rows_after(p, ++p->met);
  Pair k = {kept, kept};
  for (u32 row = 0; row < p->channels; row++) {
    Pair sample = {now[-(i32)row], now[-(i32)row]};
    for (u32 i = 0; i <= p->taps; i += 2)
      PAIR(after[row] + i) = k * PAIR(before[row] + i) + sample * PAIR(now - p->taps + i);
  }
  if (p->met % SOLVED_EVERY == 0) solve(p);
}

#endif
