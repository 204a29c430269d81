/* Fourier transforms of 2^k real numbers by fixed arithmetic; FLOATS.md gives every operation. */
#ifndef REDOXA_FFT_H
#define REDOXA_FFT_H

#include "floats.h"

/* Cosine and sine of `turns` full turns, 0 <= turns <= 1/2: by their Taylor series in an angle of at
 * most an eighth of a turn. Every change of `turns` on the way is exact for the dyadic fractions
 * that transforms of 2^k numbers need. */
static inline void cos_sin(double turns, double *cosine, double *sine) {
  bool second = turns > 0.25;
  if (second) turns = 0.5 - turns;
  bool steep = turns > 0.125;
  if (steep) turns = 0.25 - turns;
  double x = turns * 6.283185307179586, u = x * x;
  double s = 1.0 / 355687428096000;
  s = s * u - 1.0 / 1307674368000;
  s = s * u + 1.0 / 6227020800;
  s = s * u - 1.0 / 39916800;
  s = s * u + 1.0 / 362880;
  s = s * u - 1.0 / 5040;
  s = s * u + 1.0 / 120;
  s = s * u - 1.0 / 6;
  s = s * u * x + x;
  double c = 1.0 / 20922789888000;
  c = c * u - 1.0 / 87178291200;
  c = c * u + 1.0 / 479001600;
  c = c * u - 1.0 / 3628800;
  c = c * u + 1.0 / 40320;
  c = c * u - 1.0 / 720;
  c = c * u + 1.0 / 24;
  c = c * u - 1.0 / 2;
  c = c * u + 1;
  *cosine = steep ? s : c;
  if (second) *cosine = -*cosine;
  *sine = steep ? c : s;
}

/* What a transform of n = 2^k >= 2 real numbers needs, carved from memory for fft_doubles(n). */
typedef struct {
  u32 n;
  double *cos_half, *sin_half;    /* of j / (n/2) turns, j < n/4 */
  double *cos_whole, *sin_whole;  /* of j / n turns, j < n/2 */
  double *re, *im, *other_re, *other_im;
} Fft;

static inline u32 fft_doubles(u32 n) { return n < 4 ? 12 : n / 2 + n + 2 * n; }

static Fft fft_in(double *memory, u32 n) {
  u32 half = n / 2, quarter = half < 2 ? 1 : half / 2;
  Fft fft = {.n = n, .cos_half = memory, .sin_half = memory + quarter};
  memory += 2 * quarter;
  fft.cos_whole = memory;
  fft.sin_whole = memory + half;
  fft.re = memory + 2 * half;
  fft.im = memory + 3 * half;
  fft.other_re = memory + 4 * half;
  fft.other_im = memory + 5 * half;
  for (u32 j = 0; j < half; j++)
    cos_sin((double)j / (double)n, &fft.cos_whole[j], &fft.sin_whole[j]);
  for (u32 j = 0; j < half / 2; j++) {
    fft.cos_half[j] = fft.cos_whole[2 * j];
    fft.sin_half[j] = fft.sin_whole[2 * j];
  }
  return fft;
}

/* The complex transform of n/2 numbers re + i im, which is where these point afterwards: Stockham's,
 * which leaves them in order. */
static void fft_complex(Fft *fft, double **re, double **im, double **to_re, double **to_im) {
  u32 half = fft->n / 2;
  for (u32 step = 1, pairs = half / 2; pairs > 0; step *= 2, pairs /= 2) {
    const double *xr = *re, *xi = *im;
    double *restrict yr = *to_re, *restrict yi = *to_im;
    if (step == 1 && pairs == 1) {
      double c = fft->cos_half[0], s = fft->sin_half[0];
      double dr = xr[0] - xr[1], di = xi[0] - xi[1];
      yr[0] = xr[0] + xr[1];
      yi[0] = xi[0] + xi[1];
      yr[1] = dr * c + di * s;
      yi[1] = di * c - dr * s;
    } else if (step == 1) {
      for (u32 p = 0; p < pairs; p += 2) {
        Pair ar = PAIR(xr + p), ai = PAIR(xi + p);
        Pair br = PAIR(xr + pairs + p), bi = PAIR(xi + pairs + p);
        Pair c = PAIR(fft->cos_half + p), s = PAIR(fft->sin_half + p);
        Pair sr = ar + br, si = ai + bi, dr = ar - br, di = ai - bi;
        Pair tr = dr * c + di * s, ti = di * c - dr * s;
        PAIR(yr + 2 * p) = __builtin_shufflevector(sr, tr, 0, 2);
        PAIR(yr + 2 * p + 2) = __builtin_shufflevector(sr, tr, 1, 3);
        PAIR(yi + 2 * p) = __builtin_shufflevector(si, ti, 0, 2);
        PAIR(yi + 2 * p + 2) = __builtin_shufflevector(si, ti, 1, 3);
      }
    } else {
      for (u32 p = 0; p < pairs; p++) {
        Pair c = (Pair){} + fft->cos_half[p * step], s = (Pair){} + fft->sin_half[p * step];
        u32 a = p * step, b = a + pairs * step, to = 2 * a;
        for (u32 q = 0; q < step; q += 2) {
          Pair ar = PAIR(xr + a + q), ai = PAIR(xi + a + q);
          Pair br = PAIR(xr + b + q), bi = PAIR(xi + b + q);
          Pair dr = ar - br, di = ai - bi;
          PAIR(yr + to + q) = ar + br;
          PAIR(yi + to + q) = ai + bi;
          PAIR(yr + to + step + q) = dr * c + di * s;
          PAIR(yi + to + step + q) = di * c - dr * s;
        }
      }
    }
    double *swap_re = *re, *swap_im = *im;
    *re = *to_re;
    *im = *to_im;
    *to_re = swap_re;
    *to_im = swap_im;
  }
}

/* The spectrum of n real numbers: n/2 + 1 complex numbers, real and imaginary part in turn. */
static void fft_forward(Fft *fft, const double *x, double *spectrum) {
  u32 half = fft->n / 2;
  double *re = fft->re, *im = fft->im, *to_re = fft->other_re, *to_im = fft->other_im;
  for (u32 k = 0; k < half; k++) {
    re[k] = x[2 * k];
    im[k] = x[2 * k + 1];
  }
  fft_complex(fft, &re, &im, &to_re, &to_im);
  spectrum[0] = re[0] + im[0];
  spectrum[1] = 0;
  spectrum[2 * half] = re[0] - im[0];
  spectrum[2 * half + 1] = 0;
  for (u32 k = 1; k < half; k++) {
    double er = 0.5 * (re[k] + re[half - k]), ei = 0.5 * (im[k] - im[half - k]);
    double or = 0.5 * (im[k] + im[half - k]), oi = 0.5 * (re[half - k] - re[k]);
    double c = fft->cos_whole[k], s = fft->sin_whole[k];
    spectrum[2 * k] = er + (or * c + oi * s);
    spectrum[2 * k + 1] = ei + (oi * c - or * s);
  }
}

/* n/2 times the n real numbers with that spectrum. */
static void fft_inverse(Fft *fft, const double *spectrum, double *x) {
  u32 half = fft->n / 2;
  double *re = fft->re, *im = fft->im, *to_re = fft->other_re, *to_im = fft->other_im;
  for (u32 k = 0; k < half; k++) {
    const double *a = spectrum + 2 * k, *b = spectrum + 2 * (half - k);
    double er = 0.5 * (a[0] + b[0]), ei = 0.5 * (a[1] - b[1]);
    double tr = 0.5 * (a[0] - b[0]), ti = 0.5 * (a[1] + b[1]);
    double c = fft->cos_whole[k], s = fft->sin_whole[k];
    double or = tr * c - ti * s, oi = ti * c + tr * s;
    re[k] = er - oi;
    im[k] = ei + or;
  }
  /* Real and imaginary parts change places: the transform is then the inverse one. */
  fft_complex(fft, &im, &re, &to_im, &to_re);
  for (u32 k = 0; k < half; k++) {
    x[2 * k] = re[k];
    x[2 * k + 1] = im[k];
  }
}

#endif
