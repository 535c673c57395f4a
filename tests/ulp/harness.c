/* Largest errors of the loops, in units in the last place of the result.
 *
 * Usage: harness float32 step   every step-th float32 against the C library's double, or pairs for functions of two
 *        harness float64 count  so many numbers against libquadmath
 * Prints a line for each function: name, largest error, where, points, and points whose kind is wrong: NaN for a number, a
 * number for NaN, the other zero.
 */
#define _GNU_SOURCE
#include <float.h>
#include <math.h>
#include <quadmath.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNARY(F) \
  F(exp) F(exp2) F(expm1) F(log) F(log2) F(log10) F(log1p) F(sin) F(cos) F(tan) F(asin) F(acos) F(atan) F(sinh) F(cosh) \
  F(tanh) F(asinh) F(acosh) F(atanh) F(erf) F(erfc) F(cbrt)
#define BINARY(F) F(pow) F(atan2) F(hypot)

#define DECLARE(n) \
  void k_##n##_f32(float *, const float *, const float *, int); \
  void k_##n##_f64(double *, const double *, const double *, int);
UNARY(DECLARE)
BINARY(DECLARE)

typedef void (*K32)(float *, const float *, const float *, int);
typedef void (*K64)(double *, const double *, const double *, int);
typedef struct {
  const char *name;
  int inputs;
  K32 k32;
  K64 k64;
  double (*d1)(double);
  double (*d2)(double, double);
  __float128 (*q1)(__float128);
  __float128 (*q2)(__float128, __float128);
} Function;

#define ROW1(n) {#n, 1, k_##n##_f32, k_##n##_f64, n, 0, n##q, 0},
#define ROW2(n) {#n, 2, k_##n##_f32, k_##n##_f64, 0, n, 0, n##q},
static const Function functions[] = {UNARY(ROW1) BINARY(ROW2)};

enum { block = 4096 };
typedef struct {
  double ulp, x, y;
  uint64_t points, wrong;
  double wrong_x, wrong_y;
} Result;

static void worse(Result *r, double ulp, double x, double y) {
  r->points++;
  if (ulp < 0) {
    if (r->wrong++ == 0) r->wrong_x = x, r->wrong_y = y;
  } else if (ulp > r->ulp) {
    r->ulp = ulp, r->x = x, r->y = y;
  }
}

/* Negative for the wrong kind of number. */
static double error32(float got, double want) {
  const float w = (float)want;
  if (w != w || got != got) return w != w && got != got ? 0 : -1;
  if (want == 0) return got == 0 && signbit(got) == signbit(w) ? 0 : -1;
  if (isinf(want)) return got == w ? 0 : -1;
  if (isinf(got)) return isinf(w) ? 0 : 1 + fabs(FLT_MAX - fabs(want)) / 0x1p104;
  int e;
  frexp(want, &e);
  if (e > 128) e = 128;
  return fabs((double)got - want) / ldexp(1, e < -125 ? -149 : e - 24);
}

static double error64(double got, __float128 want) {
  const double w = (double)want;
  if (w != w || got != got) return w != w && got != got ? 0 : -1;
  if (want == 0) return got == 0 && signbit(got) == signbit(w) ? 0 : -1;
  if (isinfq(want)) return got == w ? 0 : -1;
  if (isinf(got)) return isinf(w) ? 0 : 1 + (double)(fabsq(DBL_MAX - fabsq(want)) / 0x1p971Q);
  int e;
  frexpq(want, &e);
  if (e > 1024) e = 1024;
  return (double)(fabsq((__float128)got - want) / ldexpq(1, e < -1021 ? -1074 : e - 53));
}

static float float_of(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}
static double double_of(uint64_t u) {
  double f;
  memcpy(&f, &u, 8);
  return f;
}
/* Splitmix64: numbers that do not depend on how work is split. */
static uint64_t mix(uint64_t i) {
  uint64_t z = (i + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ z >> 27) * 0x94d049bb133111ebull;
  return z ^ z >> 31;
}

static const double corners[] = {0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 1e300, -1e300, 1e-310, -1e-310, 1e22, 100.0,
  -100.0, 0.1, -0.1, 0x1p53, 0x1p-60, -0x1p-60, DBL_MAX, -DBL_MAX, DBL_TRUE_MIN, 0x1p-1073, 0x1p-1072, 0x1p-149, 0x1p-148, 1e9, -1e9, 0x1p31, 710.0, 88.5, INFINITY, -INFINITY, NAN};
enum { corner = sizeof corners / sizeof *corners };

/* A quarter of all bits, a quarter near one, a half of common size; then every pair of the corners. */
static double sample(uint64_t i, int second) {
  if (i < corner * corner) return second ? corners[i / corner] : corners[i % corner];
  const uint64_t r = mix(2 * i + second);
  const double u = (double)(mix(r) >> 11) * 0x1p-53;
  switch (r & 3) {
    case 0: return double_of(mix(r + 7));
    case 1: return 1 + (u - 0.5) * ldexp(1, -(int)(r >> 8 & 31)) * (r >> 13 & 1 ? 1 : 4);
    case 2: return (u - 0.5) * 40;
    default: return (u - 0.5) * ldexp(1, (int)(r >> 8 & 63) - 31);
  }
}

static void run32(const Function *f, uint64_t step, Result *r) {
  const int64_t blocks = (int64_t)(f->inputs == 1 ? (0x100000000ull / step) / block : (1ull << 28) / step / block);
#pragma omp parallel for schedule(dynamic, 16)
  for (int64_t b = 0; b < blocks; b++) {
    float x[block], y[block], z[block];
    Result mine = {0};
    for (int i = 0; i < block; i++) {
      const uint64_t j = (uint64_t)b * block + (uint64_t)i;
      x[i] = f->inputs == 1 ? float_of((uint32_t)(j * step)) : (float)sample(j, 0);
      y[i] = (float)sample(j, 1);
      if (f->inputs == 2 && (mix(j) & 15) == 0) x[i] = float_of((uint32_t)mix(j + 99));
    }
    f->k32(z, x, y, block);
    for (int i = 0; i < block; i++) {
      worse(&mine, error32(z[i], f->inputs == 1 ? f->d1(x[i]) : f->d2(x[i], y[i])), x[i], y[i]);
    }
#pragma omp critical
    {
      if (mine.ulp > r->ulp) r->ulp = mine.ulp, r->x = mine.x, r->y = mine.y;
      if (r->wrong == 0) r->wrong_x = mine.wrong_x, r->wrong_y = mine.wrong_y;
      r->points += mine.points, r->wrong += mine.wrong;
    }
  }
}

static void run64(const Function *f, uint64_t count, Result *r) {
  const int64_t blocks = (int64_t)((count + block - 1) / block);
#pragma omp parallel for schedule(dynamic, 1)
  for (int64_t b = 0; b < blocks; b++) {
    double x[block], y[block], z[block];
    Result mine = {0};
    for (int i = 0; i < block; i++) {
      const uint64_t j = (uint64_t)b * block + (uint64_t)i;
      x[i] = sample(j, 0), y[i] = sample(j, 1);
      /* Beyond this libquadmath's own reduction is not trusted. */
      if (f->inputs == 1 && strlen(f->name) == 3 && strstr("sin cos tan", f->name) && fabs(x[i]) > 1e300) x[i] = 1e300;
    }
    f->k64(z, x, y, block);
    for (int i = 0; i < block; i++) {
      worse(&mine, error64(z[i], f->inputs == 1 ? f->q1(x[i]) : f->q2(x[i], y[i])), x[i], y[i]);
    }
#pragma omp critical
    {
      if (mine.ulp > r->ulp) r->ulp = mine.ulp, r->x = mine.x, r->y = mine.y;
      if (r->wrong == 0) r->wrong_x = mine.wrong_x, r->wrong_y = mine.wrong_y;
      r->points += mine.points, r->wrong += mine.wrong;
    }
  }
}

int main(int argc, char **argv) {
  const int narrow = strcmp(argv[1], "float32") == 0;
  const uint64_t amount = strtoull(argv[2], 0, 10);
  for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++) {
    const Function *f = &functions[i];
    if (argc > 3 && strcmp(argv[3], f->name) != 0) continue;
    Result r = {0};
    if (narrow) run32(f, amount, &r);
    else run64(f, amount, &r);
    printf("%s %.3f %.17g %.17g %llu %llu %.17g %.17g\n", f->name, r.ulp, r.x, r.y, (unsigned long long)r.points,
           (unsigned long long)r.wrong, r.wrong_x, r.wrong_y);
    fflush(stdout);
  }
  return 0;
}
