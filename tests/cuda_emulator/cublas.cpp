// cuBLAS: column-major products, on the handle's stream.
#include <complex>

struct Blas { Stream* stream; };
enum { BLAS_NOT_INITIALIZED = 1, BLAS_INVALID_VALUE = 7, BLAS_NOT_SUPPORTED = 15 };

struct Half { uint16_t bits; };
struct BHalf { uint16_t bits; };
static float valueOf(Half h) {
  const int exponent = h.bits >> 10 & 31, fraction = h.bits & 1023;
  const float sign = h.bits & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction ? __builtin_nanf("") : sign * __builtin_inff();
  return sign * (exponent == 0 ? __builtin_ldexpf((float)fraction, -24) : __builtin_ldexpf((float)(fraction + 1024), exponent - 25));
}
static float valueOf(BHalf h) { const uint32_t bits = (uint32_t)h.bits << 16; float f; memcpy(&f, &bits, 4); return f; }
static void put(Half& to, float x) {
  const uint16_t sign = __builtin_signbit(x) ? 0x8000 : 0;
  const float a = __builtin_fabsf(x);
  if (x != x) { to.bits = sign | 0x7e00; return; }
  if (a == 0) { to.bits = sign; return; }
  if (a >= 65520.0f) { to.bits = sign | 0x7c00; return; }
  int exponent;
  __builtin_frexpf(a, &exponent);
  const int shift = exponent - 1 < -14 ? -24 : exponent - 11;
  const int fraction = (int)__builtin_rintf(__builtin_ldexpf(a, -shift));
  to.bits = sign | (uint16_t)(shift == -24 ? fraction : ((shift + 25) << 10) + fraction - 1024);
}
static void put(BHalf& to, float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  to.bits = (uint16_t)(x != x ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
template <class T> static T valueOf(T x) { return x; }
template <class T, class S> static void put(T& to, S x) { to = (T)x; }

// T lies in memory, S is summed.
template <class T, class S> static void multiply(
  bool ta, bool tb, int m, int n, int k, const T* a, int lda, const T* b, int ldb, T* c, int ldc
) {
  for (int j = 0; j < n; j++) {
    for (int i = 0; i < m; i++) {
      S sum = 0;
      for (int l = 0; l < k; l++) {
        const T& x = a[ta ? (size_t)i * lda + l : (size_t)l * lda + i];
        const T& y = b[tb ? (size_t)l * ldb + j : (size_t)j * ldb + l];
        sum += (S)valueOf(x) * (S)valueOf(y);
      }
      put(c[(size_t)j * ldc + i], sum);
    }
  }
}

API int cublasCreate_v2(void** handle) { CALL("cublasCreate_v2"); if (currentContext == nullptr) return BLAS_NOT_INITIALIZED; *handle = born("cublas", new Blas{nullptr}); return 0; }
API int cublasDestroy_v2(void* handle) {
  CALL("cublasDestroy_v2");
  if (!lives("cublas", handle)) return BLAS_NOT_INITIALIZED;
  died("cublas", handle);
  delete (Blas*)handle;
  return 0;
}
API int cublasSetStream_v2(void* handle, void* stream) {
  CALL("cublasSetStream_v2");
  if (!lives("cublas", handle) || streamOf(stream) == nullptr) return BLAS_NOT_INITIALIZED;
  ((Blas*)handle)->stream = streamOf(stream);
  return 0;
}
API const char* cublasGetStatusString(int code) { return code == 0 ? "CUBLAS_STATUS_SUCCESS" : "emulated"; }

API int cublasGemmStridedBatchedEx(
  void* handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* a, int typeA, int lda, long long stepA, const void* b,
  int typeB, int ldb, long long stepB, const void* beta, void* c, int typeC, int ldc, long long stepC, int batch, int compute, int
) {
  CALL("cublasGemmStridedBatchedEx");
  if (!lives("cublas", handle)) return BLAS_NOT_INITIALIZED;
  if (typeA != typeB || typeA != typeC) return BLAS_NOT_SUPPORTED;
  const bool fit = lda >= (ta ? k : m) && ldb >= (tb ? n : k) && ldc >= m;
  if (m < 0 || n < 0 || k < 0 || batch < 0 || lda < 1 || ldb < 1 || ldc < 1 || !fit) return BLAS_INVALID_VALUE;
  // Factors other than 1 and 0 are not asked for.
  const bool wide = compute == 70;
  const double one = wide ? *(const double*)alpha : *(const float*)alpha, zero = wide ? *(const double*)beta : *(const float*)beta;
  if (one != 1 || zero != 0 || wide != (typeA == 1 || typeA == 5)) return BLAS_NOT_SUPPORTED;
  ((Blas*)handle)->stream->push([=] {
    for (long long i = 0; i < batch; i++) {
#define PRODUCT(T, S) multiply<T, S>(ta, tb, m, n, k, (const T*)a + i * stepA, lda, (const T*)b + i * stepB, ldb, (T*)c + i * stepC, ldc)
      switch (typeA) {
        case 0: PRODUCT(float, double); break;
        case 1: PRODUCT(double, long double); break;
        case 2: PRODUCT(Half, float); break;
        case 14: PRODUCT(BHalf, float); break;
        case 4: PRODUCT(std::complex<float>, std::complex<double>); break;
        case 5: PRODUCT(std::complex<double>, std::complex<double>); break;
      }
#undef PRODUCT
    }
  });
  return 0;
}
