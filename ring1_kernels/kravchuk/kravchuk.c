/* kravchuk: the symmetric orthonormal Kravchuk transform of each block of lanes, and what rounding
 * takes. See spec.md. */
#include "../floats.h"

enum { MAX_SIZE = 2000, ROWS = 8 };

/* The matrix K of n lanes is known from its upper left quarter, since K[n-1-i][j] is K[i][j] for
 * even j and -K[i][j] for odd, and K[i][n-1-j] likewise. Rows of the quarter are padded with zeros
 * to whole blocks of ROWS. */
static inline u32 half(u32 n) { return (n + 1) / 2; }
static inline u32 stride(u32 n) { return (half(n) + ROWS - 1) & ~(u32)(ROWS - 1); }

/* Doubles of scratch: the quarter, two Pairs for each of its rows, and two blocks. */
static inline u32 scratch_doubles(u32 n) { return half(n) * stride(n) + 4 * half(n) + 2 * n; }

/* By the recurrence from row to row, which is stable as far as the middle. Only what lies right of
 * the diagonal is computed: the rest is the same by symmetry, to the last bit. */
static void fill_quarter(double *quarter, u32 n) {
  u32 rows = half(n), step = stride(n), last = n - 1;
  double entry = ((F64){.bits = (u64)(1023 - last / 2) << 52}).value;
  if (last % 2 != 0) entry *= __builtin_sqrt(0.5);
  for (u32 j = 0; j < rows; j++) {
    quarter[j] = entry;
    entry *= __builtin_sqrt((double)(last - j) / (double)(j + 1));
  }
  double before = 0;
  for (u32 i = 0; i + 1 < rows; i++) {
    double after = __builtin_sqrt((double)(i + 1) * (double)(last - i));
    const double *row = quarter + i * step, *above = row - (i > 0 ? step : 0);
    double *next = quarter + (i + 1) * step;
    for (u32 j = i + 1; j < rows; j++)
      next[j] = ((double)(i32)(last - 2 * j) * row[j] - before * above[j]) / after;
    before = after;
  }
  for (u32 i = 0; i < rows; i++) {
    for (u32 j = 0; j < i; j++) quarter[i * step + j] = quarter[j * step + i];
    for (u32 j = rows; j < step; j++) quarter[i * step + j] = 0;
  }
}

/* y = K x. Sums run over ascending columns j. Even rows meet x[j] + x[n-1-j] and odd ones
 * x[j] - x[n-1-j], so two rows that follow each other are one Pair. */
static void multiply(const double *quarter, u32 n, const double *x, double *y, Pair *folded) {
  u32 rows = half(n), step = stride(n), last = n - 1;
  for (u32 j = 0; j < rows; j++) {
    double a = x[j], b = x[last - j];
    bool middle = j == last - j;
    Pair fold = {middle ? a : a + b, middle ? 0 : a - b};
    Pair mirrored = last % 2 != 0 ? (Pair){fold[1], fold[0]} : fold;
    folded[2 * j] = fold;
    folded[2 * j + 1] = j % 2 != 0 ? -mirrored : mirrored;
  }
  for (u32 i = 0; i < rows; i += ROWS) {
    Pair upper[ROWS / 2] = {}, lower[ROWS / 2] = {};
    const double *column = quarter + i;
    for (u32 j = 0; j < rows; j++, column += step) {
      Pair fold = folded[2 * j], mirrored = folded[2 * j + 1];
      _Pragma("clang loop unroll(full)") for (u32 pair = 0; pair < ROWS / 2; pair++) {
        Pair entries = PAIR(column + 2 * pair);
        upper[pair] += entries * fold;
        lower[pair] += entries * mirrored;
      }
    }
    for (u32 row = 0; row < ROWS && i + row < rows; row++) {
      y[last - i - row] = lower[row / 2][row % 2];
      y[i + row] = upper[row / 2][row % 2];
    }
  }
}

typedef struct { double *quarter, *from, *to; Pair *folded; } Work;

static Work work_of(double *scratch, u32 n) {
  double *folded = scratch + half(n) * stride(n), *blocks = folded + 4 * half(n);
  return (Work){scratch, blocks, blocks + n, (Pair *)folded};
}

/* K of the lanes from `at`, in work.to. */
static void transform(const Work *work, Lanes lanes, u32 at, u32 n) {
  read_lanes(lanes, at, work->from, n);
  multiply(work->quarter, n, work->from, work->to, work->folded);
}

/* Whether all went well: the blocks of n lanes from `at` to `end`. */
static bool blocks(const Call *call, double *scratch, u32 width, u32 at, u32 end, u32 n) {
  if (at == end) return true;
  Work work = work_of(scratch, n);
  fill_quarter(work.quarter, n);
  Lanes first = {(u8 *)in_at(call, 0), width}, out = {out_at(call, 0), width};
  Lanes residual = {call->inverse ? (u8 *)in_at(call, 1) : out_at(call, 1), width};
  for (; at < end; at += n) {
    transform(&work, first, at, n);
    if (call->inverse) {
      join_lanes(residual, work.to, out, at, n);
      transform(&work, out, at, n);
      if (!same_lanes(work.to, first, at, n)) return false;
    } else {
      write_lanes(work.to, out, at, n);
      transform(&work, out, at, n);
      part_lanes(first, work.to, residual, at, n);
    }
  }
  return true;
}

static u32 work(Call *call) {
  u32 width, size;
  if (!take_width(call, 4 | 8, &width) || !take_uint(call, 1, MAX_SIZE, &size) ||
      !no_more_parameters(call))
    return BAD_PARAMETER;
  if (!is_transform(call)) return CALL_SHAPE;
  u32 length = call->in[0].len;
  if (length % width != 0 || (call->inverse && call->in[1].len != length)) return unusable(call);
  u32 n = length / width, rest = n % size;
  u32 scratch = 8 * scratch_doubles(n < size ? n : size);
  u32 refusal = take_room(call, length, length, scratch);
  if (refusal != DONE || call->bound) return refusal;
  double *room = AT(double, call->scratch->ptr);
  bool whole = blocks(call, room, width, 0, n - rest, size) &&
               blocks(call, room, width, n - rest, n, rest);
  return whole ? DONE : MALFORMED;
}
