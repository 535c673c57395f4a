/* Nanoseconds an element of the loops and of the C library's functions; with -DVECTORS of glibc's vector functions.
 *
 * Prints a line for each function: name, own and the library's for float32, the same for float64; the best of several
 * runs over 16384 elements on one thread. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define FUNCTIONS(ONE, TWO) \
  ONE(exp, -20, 20) ONE(exp2, -20, 20) ONE(expm1, -20, 20) ONE(log, 0.01, 50) ONE(log2, 0.01, 50) ONE(log10, 0.01, 50) \
  ONE(log1p, -0.9, 50) ONE(sin, -20, 20) ONE(cos, -20, 20) ONE(tan, -20, 20) ONE(asin, -1, 1) ONE(acos, -1, 1) \
  ONE(atan, -20, 20) ONE(sinh, -20, 20) ONE(cosh, -20, 20) ONE(tanh, -5, 5) ONE(asinh, -20, 20) ONE(acosh, 1, 20) \
  ONE(atanh, -1, 1) ONE(erf, -4, 4) ONE(erfc, -4, 4) ONE(cbrt, -20, 20) TWO(pow, 0.01, 20) TWO(atan2, -5, 5) TWO(hypot, -5, 5)

#ifdef VECTORS
#define SIMD __attribute__((simd("notinbranch"), const))
#define MANY _Pragma("omp simd")
#else
#define SIMD
#define MANY
#endif
#define ARGUMENTS(t) t *restrict y, const t *restrict x, const t *restrict z, int n
#define LOOP(name, t, call) \
  static __attribute__((noinline)) void name(ARGUMENTS(t)) { \
    MANY for (int i = 0; i < n; i++) y[i] = call; \
  }
#define ONE(w, low, high) \
  void k_##w##_f32(ARGUMENTS(float)); \
  void k_##w##_f64(ARGUMENTS(double)); \
  SIMD float w##f(float); \
  SIMD double w(double); \
  LOOP(c_##w##_f32, float, w##f(x[i])) \
  LOOP(c_##w##_f64, double, w(x[i]))
#define TWO(w, low, high) \
  void k_##w##_f32(ARGUMENTS(float)); \
  void k_##w##_f64(ARGUMENTS(double)); \
  SIMD float w##f(float, float); \
  SIMD double w(double, double); \
  LOOP(c_##w##_f32, float, w##f(x[i], z[i])) \
  LOOP(c_##w##_f64, double, w(x[i], z[i]))
FUNCTIONS(ONE, TWO)
#undef ONE
#undef TWO

void near_sin_f32(ARGUMENTS(float));
void near_cos_f32(ARGUMENTS(float));
void near_tan_f32(ARGUMENTS(float));
void near_sin_f64(ARGUMENTS(double));
void near_cos_f64(ARGUMENTS(double));
void near_tan_f64(ARGUMENTS(double));
#define k_sin_f32 near_sin_f32
#define k_cos_f32 near_cos_f32
#define k_tan_f32 near_tan_f32
#define k_sin_f64 near_sin_f64
#define k_cos_f64 near_cos_f64
#define k_tan_f64 near_tan_f64

enum { count = 16384, runs = 40 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

#define TIME(t) \
  static double time_##t(void (*f)(ARGUMENTS(t)), double low, double high) { \
    static t x[count], y[count], z[count]; \
    srand(1); \
    for (int i = 0; i < count; i++) { \
      x[i] = (t)(low + (high - low) * (rand() / 2147483648.0)); \
      z[i] = (t)(-5 + 10 * (rand() / 2147483648.0)); \
    } \
    double best = 1e300; \
    for (int r = 0; r < runs; r++) { \
      double s = now(); \
      f(y, x, z, count); \
      s = now() - s; \
      if (s < best) best = s; \
    } \
    return best / count; \
  }
TIME(float)
TIME(double)

int main(void) {
#define ROW(f, low, high) \
  printf(#f " %.3f %.3f %.3f %.3f\n", time_float(k_##f##_f32, low, high), time_float(c_##f##_f32, low, high), \
         time_double(k_##f##_f64, low, high), time_double(c_##f##_f64, low, high));
  FUNCTIONS(ROW, ROW)
  return 0;
}
