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

/* Numbers lie in blocks of two: both real parts, both imaginary parts; cosines and sines likewise. So
 * a vector holds two real or imaginary parts, and an address serves a whole block. */
enum { BLOCK = 4 };

/* What a transform of n = 2^k >= 2 real numbers needs, carved from memory for fft_doubles(n). */
typedef struct {
  u32 n;
  double *whole, *half;   /* cosines and sines of j / n turns, and of j / (n/2) */
  double *from, *to;
} Fft;

static inline u32 fft_doubles(u32 n) { return n < 8 ? 16 : 3 * n + n / 2; }

static Fft fft_in(double *memory, u32 n) {
  u32 half = n / 2, room = half < 2 ? BLOCK : 2 * half;
  Fft fft = {.n = n, .whole = memory, .half = memory + room};
  fft.from = fft.half + (half < 4 ? BLOCK : half);
  fft.to = fft.from + room;
  for (u32 j = 0; j < half; j++) {
    double *entry = fft.whole + j / 2 * BLOCK + j % 2;
    cos_sin((double)j / (double)n, entry, entry + 2);
  }
  for (u32 j = 0; j < half / 2; j++) {
    const double *entry = fft.whole + j * BLOCK;
    fft.half[j / 2 * BLOCK + j % 2] = entry[0];
    fft.half[j / 2 * BLOCK + j % 2 + 2] = entry[2];
  }
  return fft;
}

#define EVENS(a, b) __builtin_shufflevector(a, b, 0, 2)
#define ODDS(a, b) __builtin_shufflevector(a, b, 1, 3)
#define ENDS(a, b) __builtin_shufflevector(a, b, 0, 3)

/* Each of `pairs` numbers and its partner give two neighbours: the first step, before which there
 * is nothing to do over and over. */
static void fft_first(const Fft *fft, const double *from, double *restrict to, u32 pairs) {
  const double *a = from, *b = from + 2 * pairs, *turn = fft->half;
  for (; a < from + 2 * pairs; a += BLOCK, b += BLOCK, turn += BLOCK, to += 2 * BLOCK) {
    Pair ar = PAIR(a), ai = PAIR(a + 2), br = PAIR(b), bi = PAIR(b + 2);
    Pair c = PAIR(turn), s = PAIR(turn + 2);
    Pair sr = ar + br, si = ai + bi, dr = ar - br, di = ai - bi;
    Pair tr = dr * c + di * s, ti = di * c - dr * s;
    PAIR(to) = EVENS(sr, tr);
    PAIR(to + 2) = EVENS(si, ti);
    PAIR(to + BLOCK) = ODDS(sr, tr);
    PAIR(to + BLOCK + 2) = ODDS(si, ti);
  }
}

/* Two numbers that are each other's partners, which is the first step and the last. */
static void fft_only(const Fft *fft, const double *from, double *to) {
  double c = fft->half[0], s = fft->half[2];
  double dr = from[0] - from[1], di = from[2] - from[3];
  to[0] = from[0] + from[1];
  to[2] = from[2] + from[3];
  to[1] = dr * c + di * s;
  to[3] = di * c - dr * s;
}

/* The complex transform of the n/2 numbers in fft->from, which is where they are afterwards:
 * Stockham's, which leaves them in order. */
static void fft_complex(Fft *fft) {
  u32 half = fft->n / 2;
  for (u32 step = 1, pairs = half / 2; pairs > 0; step *= 2, pairs /= 2) {
    double *from = fft->from, *to = fft->to;
    if (step == 1 && pairs == 1)
      fft_only(fft, from, to);
    else if (step == 1)
      fft_first(fft, from, to, pairs);
    else
      for (u32 p = 0; p < pairs; p++) {
        const double *turn = fft->half + 2 * p * step, *a = from + 2 * p * step;
        const double *b = a + 2 * pairs * step, *end = a + 2 * step;
        Pair c = (Pair){} + turn[0], s = (Pair){} + turn[2];
        double *restrict sum = to + 4 * p * step, *restrict turned = sum + 2 * step;
        for (; a < end; a += BLOCK, b += BLOCK, sum += BLOCK, turned += BLOCK) {
          Pair ar = PAIR(a), ai = PAIR(a + 2), br = PAIR(b), bi = PAIR(b + 2);
          Pair dr = ar - br, di = ai - bi;
          PAIR(sum) = ar + br;
          PAIR(sum + 2) = ai + bi;
          PAIR(turned) = dr * c + di * s;
          PAIR(turned + 2) = di * c - dr * s;
        }
      }
    fft->from = to;
    fft->to = from;
  }
}

/* Two numbers of the spectrum, from two that were transformed, a, and those opposite them, b. */
static inline void fft_part(Pair ar, Pair ai, Pair br, Pair bi, const double *turn,
                            double *spectrum) {
  Pair er = 0.5 * (ar + br), ei = 0.5 * (ai - bi);
  Pair or = 0.5 * (ai + bi), oi = 0.5 * (br - ar), c = PAIR(turn), s = PAIR(turn + 2);
  Pair re = er + (or * c + oi * s), im = ei + (oi * c - or * s);
  PAIR(spectrum) = EVENS(re, im);
  PAIR(spectrum + 2) = ODDS(re, im);
}

/* The spectrum of n real numbers: n/2 + 1 complex numbers, real and imaginary part in turn. */
static void fft_forward(Fft *fft, const double *x, double *spectrum) {
  u32 half = fft->n / 2;
  fft->from[0] = x[0];
  fft->from[2] = x[1];
  for (u32 k = 0; k + 1 < half; k += 2) {
    Pair a = PAIR(x + 2 * k), b = PAIR(x + 2 * k + 2);
    PAIR(fft->from + 2 * k) = EVENS(a, b);
    PAIR(fft->from + 2 * k + 2) = ODDS(a, b);
  }
  fft_complex(fft);
  const double *z = fft->from;
  for (u32 k = 0; k + 1 < half; k += 2) {
    /* Opposite k and k + 1 lie half - k, or 0 for k = 0, and half - k - 1. */
    const double *a = z + 2 * k, *b = z + 2 * (half - k - 2), *c = k > 0 ? b + BLOCK : z;
    fft_part(PAIR(a), PAIR(a + 2), ENDS(PAIR(c), PAIR(b)), ENDS(PAIR(c + 2), PAIR(b + 2)),
             fft->whole + 2 * k, spectrum + 2 * k);
  }
  spectrum[0] = z[0] + z[2];
  spectrum[1] = 0;
  spectrum[2 * half] = z[0] - z[2];
  spectrum[2 * half + 1] = 0;
}

/* n/2 times the n real numbers with that spectrum. Real and imaginary parts change places before
 * and after the complex transform, which makes it the inverse one. */
static void fft_inverse(Fft *fft, const double *spectrum, double *x) {
  u32 half = fft->n / 2;
  for (u32 k = 0; k < half; k += 2) {
    const double *a = spectrum + 2 * k, *b = spectrum + 2 * (half - k);
    bool alone = half == 1;
    Pair a0 = PAIR(a), a1 = alone ? a0 : PAIR(a + 2), b0 = PAIR(b), b1 = alone ? b0 : PAIR(b - 2);
    Pair ar = EVENS(a0, a1), ai = ODDS(a0, a1), br = EVENS(b0, b1), bi = ODDS(b0, b1);
    Pair er = 0.5 * (ar + br), ei = 0.5 * (ai - bi);
    Pair tr = 0.5 * (ar - br), ti = 0.5 * (ai + bi);
    Pair c = PAIR(fft->whole + 2 * k), s = PAIR(fft->whole + 2 * k + 2);
    Pair or = tr * c - ti * s, oi = ti * c + tr * s;
    PAIR(fft->from + 2 * k) = ei + or;
    PAIR(fft->from + 2 * k + 2) = er - oi;
  }
  fft_complex(fft);
  const double *z = fft->from;
  if (half == 1) {
    x[0] = z[2];
    x[1] = z[0];
    return;
  }
  for (u32 k = 0; k < half; k += 2) {
    PAIR(x + 2 * k) = EVENS(PAIR(z + 2 * k + 2), PAIR(z + 2 * k));
    PAIR(x + 2 * k + 2) = ODDS(PAIR(z + 2 * k + 2), PAIR(z + 2 * k));
  }
}

#endif
