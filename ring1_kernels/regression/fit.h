/* Weights by least squares: the records' QR factor by Givens rotations (Golub and Van Loan, Matrix
 * Computations, 5.2.5), from which the weights of every place of a record follow by substitution. */
#ifndef REGRESSION_FIT_H
#define REGRESSION_FIT_H

enum { MAX_SIDE = 512 };

/* Records times side squared that are looked at; of more records, evenly spread ones. */
static const u64 MOST_WORK = 1 << 27;

/* Below this part of a column's norm, what is left of it is rounding. */
static const double LEAST_PART = 1.0 / (1ull << 44);

/* A weight is rounded so that the prediction moves by about 1/64 of what it is wrong anyway. */
enum { SPARE_BITS = 6 };

typedef struct {
  const double *values;
  u32 count, record, history;
} Records;

static inline bool is_finite(double value) { return value - value == 0; }

static inline u32 even(u32 count) { return (count + 1) & ~1u; }

/* The factor, one row, and the columns' norms. */
static u32 fit_bytes(u32 side) { return 8 * (even(side) * side + 2 * even(side)); }

static inline double power_of_two(i32 exponent) {
  i32 kept = exponent < -1022 ? -1022 : exponent > 1023 ? 1023 : exponent;
  return ((F64){.bits = (u64)(kept + 1023) << 52}).value;
}

static inline i32 exponent_of(double value) {
  return (i32)(((F64){.value = value}).bits >> 52 & 2047) - 1023;
}

/* What brings the largest lane near 1, so that squares stay in range. */
static double scale_of(const Records *records) {
  u64 largest = 0;
  for (u32 i = 0; i < records->count * records->record; i++) {
    u64 magnitude = ((F64){.value = records->values[i]}).bits & ~SIGN_u64;
    if (magnitude > largest && magnitude < INFINITY_u64) largest = magnitude;
  }
  return power_of_two(-exponent_of(((F64){.bits = largest}).value));
}

/* Rotate a row into the factor; the row is used up. */
static void rotate_in(double *factor, double *row, u32 side) {
  u32 stride = even(side);
  for (u32 j = 0; j < side; j++, factor += stride) {
    if (row[j] == 0) continue;
    double length = __builtin_sqrt(factor[j] * factor[j] + row[j] * row[j]);
    if (length == 0) continue;
    double cosine = factor[j] / length, sine = row[j] / length;
    Pair c = {cosine, cosine}, s = {sine, sine};
    for (u32 k = j & ~1u; k < stride; k += 2) {
      Pair above = PAIR(factor + k), below = PAIR(row + k);
      PAIR(factor + k) = c * above + s * below;
      PAIR(row + k) = c * below - s * above;
    }
    /* Left of the diagonal nothing stands, whatever was beside it in its Pair. */
    if (j & 1) factor[j - 1] = 0;
  }
}

/* One row of the least-squares problem; false if a lane of it is no number. */
static bool take_row(const double *lanes, double scale, double *row, u32 side) {
  double sum = 0;
  for (u32 i = 0; i < side; i++) sum += row[i] = lanes[i] * scale;
  if (even(side) > side) row[side] = 0;
  return is_finite(sum);
}

/* How many rows were taken. */
static u32 factorise(const Records *records, double *factor, double *row) {
  u32 side = (records->history + 1) * records->record, stride = even(side);
  u32 rows = records->count - records->history, taken = 0;
  u32 step = (u32)(((u64)rows * side * side + MOST_WORK - 1) / MOST_WORK);
  double scale = scale_of(records);
  for (u32 i = 0; i < stride * side; i++) factor[i] = 0;
  for (u32 at = 0; at < rows; at += step) {
    if (!take_row(records->values + at * records->record, scale, row, side)) continue;
    rotate_in(factor, row, side);
    taken++;
  }
  return taken;
}

static void column_norms(const double *factor, double *norms, u32 side) {
  for (u32 i = 0; i < side; i++) {
    double sum = 0;
    for (u32 j = 0; j <= i; j++) sum += factor[j * even(side) + i] * factor[j * even(side) + i];
    norms[i] = __builtin_sqrt(sum);
  }
}

/* The weights with which the columns before `place` give that column. */
static void substitute(const double *factor, const double *norms, u32 side, u32 place,
                       double *weights) {
  u32 stride = even(side);
  for (u32 i = 0; i < place; i++) weights[i] = factor[i * stride + place];
  for (u32 i = place; i-- > 0;) {
    const double *row = factor + i * stride;
    double pivot = row[i] < 0 ? -row[i] : row[i];
    if (!(pivot > norms[i] * LEAST_PART)) {
      weights[i] = 0;
      continue;
    }
    double sum = weights[i];
    for (u32 j = i + 1; j < place; j++) sum -= row[j] * weights[j];
    weights[i] = sum / row[i];
  }
}

/* Bits of the weights that the prediction's own error drowns are cleared: they would be stored. */
static void round_weights(double *weights, const double *norms, u32 place, double left) {
  for (u32 i = 0; i < place; i++) {
    if (!is_finite(weights[i])) weights[i] = 0;
    if (norms[i] == 0 || left == 0) continue;
    double unit = power_of_two(exponent_of(left / norms[i]) - SPARE_BITS);
    double units = weights[i] / unit;
    if (units < 4503599627370496.0 && units > -4503599627370496.0)
      weights[i] = __builtin_rint(units) * unit + 0.0;
  }
}

/* The weights of each place of a record, one after another. `room` has fit_bytes. */
static bool fit(const Records *records, double *room, double *weights) {
  u32 side = (records->history + 1) * records->record, stride = even(side);
  double *factor = room, *row = room + stride * side, *norms = row + stride;
  if (factorise(records, factor, row) == 0) return false;
  column_norms(factor, norms, side);
  for (u32 place = records->history * records->record; place < side; place++) {
    substitute(factor, norms, side, place, weights);
    double left = factor[place * stride + place];
    round_weights(weights, norms, place, left < 0 ? -left : left);
    weights += place;
  }
  return true;
}

#endif
