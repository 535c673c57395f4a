// CUDA's device language on a CPU: included before the sources that the emulated NVRTC compiles. No standard header, so that compiling
// stays fast.
#pragma once
#include "state.h"
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __global__ __attribute__((used, visibility("hidden")))
// A section for each kernel, whose ends the linker tells.
#define __shared__ static __attribute__((section(EMULATED_SHARED), used))

#define threadIdx (emulated::state->thread)
#define blockIdx (emulated::state->block)
#define blockDim (emulated::state->blockSize)
#define gridDim (emulated::state->gridSize)

static inline void __syncthreads() { emulated::state->wait(0, 0); }
static inline void __syncwarp(unsigned mask = ~0u) { emulated::state->wait(1, mask); }
template <class T> static inline T emulated_shuffle(unsigned mask, T v, unsigned from) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move 4 or 8 bytes");
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &v, sizeof v);
  bits = emulated::state->exchange(mask, bits, from);
  T r;
  __builtin_memcpy(&r, &bits, sizeof r);
  return r;
}
template <class T> static inline T __shfl_sync(unsigned mask, T v, int from) { return emulated_shuffle(mask, v, from); }
template <class T> static inline T __shfl_xor_sync(unsigned mask, T v, int bits) {
  return emulated_shuffle(mask, v, (emulated::state->linear & 31) ^ bits);
}
template <class T> static inline T __shfl_down_sync(unsigned mask, T v, unsigned d) {
  const unsigned lane = emulated::state->linear & 31;
  return emulated_shuffle(mask, v, lane + d < 32 ? lane + d : lane);
}
template <class T> static inline T __shfl_up_sync(unsigned mask, T v, unsigned d) {
  const unsigned lane = emulated::state->linear & 31;
  return emulated_shuffle(mask, v, lane >= d ? lane - d : lane);
}
static inline unsigned __ballot_sync(unsigned mask, int set) { return emulated::state->ballot(mask, set); }
static inline float __int_as_float(int x) { float r; __builtin_memcpy(&r, &x, 4); return r; }
static inline int __float_as_int(float x) { int r; __builtin_memcpy(&r, &x, 4); return r; }
static inline double __longlong_as_double(long long x) { double r; __builtin_memcpy(&r, &x, 8); return r; }
static inline long long __double_as_longlong(double x) { long long r; __builtin_memcpy(&r, &x, 8); return r; }
static inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((unsigned long long)x * y >> 32); }
// Kernels take turns and so do their threads: nothing comes between.
template <class T> static inline T atomicAdd(T* p, T v) { const T old = *p; *p = old + v; return old; }
template <class T> static inline T atomicMin(T* p, T v) { const T old = *p; *p = v < old ? v : old; return old; }
template <class T> static inline T atomicMax(T* p, T v) { const T old = *p; *p = v > old ? v : old; return old; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }

#define EMULATED_1(name) extern "C" double name(double); extern "C" float name##f(float);
#define EMULATED_2(name) extern "C" double name(double, double); extern "C" float name##f(float, float);
EMULATED_1(fabs) EMULATED_1(floor) EMULATED_1(ceil) EMULATED_1(trunc) EMULATED_1(rint) EMULATED_1(sqrt) EMULATED_1(cbrt)
EMULATED_1(exp) EMULATED_1(exp2) EMULATED_1(expm1) EMULATED_1(log) EMULATED_1(log2) EMULATED_1(log10) EMULATED_1(log1p)
EMULATED_1(sin) EMULATED_1(cos) EMULATED_1(tan) EMULATED_1(asin) EMULATED_1(acos) EMULATED_1(atan) EMULATED_1(sinh)
EMULATED_1(cosh) EMULATED_1(tanh) EMULATED_1(asinh) EMULATED_1(acosh) EMULATED_1(atanh) EMULATED_1(erf) EMULATED_1(erfc)
EMULATED_1(lgamma) EMULATED_2(atan2) EMULATED_2(hypot) EMULATED_2(pow) EMULATED_2(fmod) EMULATED_2(nextafter)
EMULATED_2(copysign)
