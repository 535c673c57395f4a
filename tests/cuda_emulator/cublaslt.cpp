// cublasLt: column-major products with bias, ReLU and GELU, by an algorithm that the heuristic made for exactly this problem.
#include <cmath>

struct LtHandle {};
struct LtDesc { int compute, scale; int32_t transA = 0, transB = 0; uint32_t epilogue = 1; Pointer bias = 0; int64_t biasStep = 0; };
struct LtLayout { int type; uint64_t rows, columns; int64_t lead; int32_t batch = 1; int64_t step = 0; };
struct LtPreference { uint64_t workspace = 0; uint32_t alignment[4] = {256, 256, 256, 256}; };

// What the 64 bytes of an algorithm say: for which problem it is, and what it asks for.
struct LtAlgorithm { uint64_t magic, problem, workspace; uint32_t alignment[4]; };
struct LtResult { LtAlgorithm algorithm; char rest[64 - sizeof(LtAlgorithm)]; size_t workspace; int state; float waves; int reserved[4]; };
static_assert(sizeof(LtResult) == 96, "as cublasLtMatmulHeuristicResult_t");
static const uint64_t LT_MAGIC = 0x6c74616c676f;

template <class T> static int ltDestroy(const char* kind, void* handle) {
  if (!lives(kind, handle)) return BLAS_INVALID_VALUE;
  died(kind, handle);
  delete (T*)handle;
  return 0;
}
// Sets a field of exactly its size.
template <class T> static int ltSet(T& field, const void* value, size_t size) {
  if (size != sizeof(T)) return BLAS_INVALID_VALUE;
  memcpy(&field, value, size);
  return 0;
}

API int cublasLtCreate(void** handle) {
  CALL("cublasLtCreate");
  if (currentContext == nullptr) return BLAS_NOT_INITIALIZED;
  *handle = born("cublasLt", new LtHandle);
  return 0;
}
API int cublasLtDestroy(void* handle) {
  CALL("cublasLtDestroy");
  return lives("cublasLt", handle) ? ltDestroy<LtHandle>("cublasLt", handle) : BLAS_NOT_INITIALIZED;
}
API const char* cublasLtGetStatusString(int code) { return code == 0 ? "success" : "emulated"; }

API int cublasLtMatmulDescCreate(void** desc, int compute, int scale) {
  CALL("cublasLtMatmulDescCreate");
  *desc = born("ltDesc", new LtDesc{compute, scale});
  return 0;
}
API int cublasLtMatmulDescDestroy(void* desc) { CALL("cublasLtMatmulDescDestroy"); return ltDestroy<LtDesc>("ltDesc", desc); }
API int cublasLtMatmulDescSetAttribute(void* handle, int attribute, const void* value, size_t size) {
  CALL("cublasLtMatmulDescSetAttribute");
  if (!lives("ltDesc", handle)) return BLAS_INVALID_VALUE;
  auto* desc = (LtDesc*)handle;
  switch (attribute) {
    case 3: return ltSet(desc->transA, value, size);
    case 4: return ltSet(desc->transB, value, size);
    case 7: return ltSet(desc->epilogue, value, size);
    case 8: return ltSet(desc->bias, value, size);
    case 10: return ltSet(desc->biasStep, value, size);
    default: return BLAS_INVALID_VALUE;
  }
}
API int cublasLtMatrixLayoutCreate(void** layout, int type, uint64_t rows, uint64_t columns, int64_t lead) {
  CALL("cublasLtMatrixLayoutCreate");
  if (rows == 0 || columns == 0 || lead < (int64_t)rows) return BLAS_INVALID_VALUE;
  *layout = born("ltLayout", new LtLayout{type, rows, columns, lead});
  return 0;
}
API int cublasLtMatrixLayoutDestroy(void* layout) { CALL("cublasLtMatrixLayoutDestroy"); return ltDestroy<LtLayout>("ltLayout", layout); }
API int cublasLtMatrixLayoutSetAttribute(void* handle, int attribute, const void* value, size_t size) {
  CALL("cublasLtMatrixLayoutSetAttribute");
  if (!lives("ltLayout", handle)) return BLAS_INVALID_VALUE;
  auto* layout = (LtLayout*)handle;
  switch (attribute) {
    case 5: return ltSet(layout->batch, value, size);
    case 6: return ltSet(layout->step, value, size);
    default: return BLAS_INVALID_VALUE;
  }
}
API int cublasLtMatmulPreferenceCreate(void** preference) {
  CALL("cublasLtMatmulPreferenceCreate");
  *preference = born("ltPreference", new LtPreference);
  return 0;
}
API int cublasLtMatmulPreferenceDestroy(void* preference) {
  CALL("cublasLtMatmulPreferenceDestroy");
  return ltDestroy<LtPreference>("ltPreference", preference);
}
API int cublasLtMatmulPreferenceSetAttribute(void* handle, int attribute, const void* value, size_t size) {
  CALL("cublasLtMatmulPreferenceSetAttribute");
  if (!lives("ltPreference", handle)) return BLAS_INVALID_VALUE;
  auto* preference = (LtPreference*)handle;
  if (attribute == 1) return ltSet(preference->workspace, value, size);
  return attribute >= 5 && attribute <= 8 ? ltSet(preference->alignment[attribute - 5], value, size) : BLAS_INVALID_VALUE;
}

static size_t ltItemsize(int type) {
  switch (type) {
    case 2: case 14: return 2;
    case 0: return 4;
    case 1: case 4: return 8;
    case 5: return 16;
    default: return 0;
  }
}
// Bytes from the first to the last element of a stack of matrices.
static size_t ltExtent(const LtLayout& x) {
  return ((size_t)(x.batch - 1) * x.step + (size_t)(x.columns - 1) * x.lead + x.rows) * ltItemsize(x.type);
}
struct LtShape { uint64_t m, n, k; };
// Whether matrices and operations go together; tells the sizes.
static bool ltFits(const LtDesc& desc, const LtLayout& a, const LtLayout& b, const LtLayout& c, const LtLayout& d, LtShape& shape) {
  shape = {desc.transA ? a.columns : a.rows, desc.transB ? b.rows : b.columns, desc.transA ? a.rows : a.columns};
  const bool sizes = shape.k == (desc.transB ? b.columns : b.rows) && d.rows == shape.m && d.columns == shape.n && c.rows == d.rows &&
    c.columns == d.columns && c.lead == d.lead && c.step == d.step;
  const bool batches = a.batch == b.batch && a.batch == c.batch && a.batch == d.batch && a.batch > 0 && a.step >= 0 && b.step >= 0 &&
    (d.batch == 1 || (uint64_t)d.step >= d.lead * (d.columns - 1) + d.rows);
  const bool types = a.type == b.type && a.type == c.type && a.type == d.type && ltItemsize(a.type) > 0;
  const bool wide = a.type == 1 || a.type == 5, half = a.type == 2 || a.type == 14;
  const bool computes = desc.compute == (wide ? 70 : 68) || (desc.compute == 77 && (a.type == 0 || a.type == 4));
  return sizes && batches && types && computes && desc.scale == (half ? 0 : a.type);
}
static bool ltSupports(const LtDesc& desc, int type) {
  const bool complex = type == 4 || type == 5;
  switch (desc.epilogue) {
    case 1: return true;
    case 4: return !complex;
    case 2: case 6: case 32: case 36: return !complex && type != 1;
    default: return false;
  }
}
static uint64_t ltProblem(const LtDesc& desc, const LtLayout& a, const LtLayout& b, const LtLayout& d) {
  uint64_t hash = 1469598103934665603ull;
  auto add = [&](uint64_t x) { hash = (hash ^ x) * 1099511628211ull; };
  for (uint64_t x : {(uint64_t)desc.compute, (uint64_t)desc.transA, (uint64_t)desc.transB, (uint64_t)desc.epilogue, (uint64_t)desc.biasStep}) add(x);
  for (const LtLayout* x : {&a, &b, &d}) {
    for (uint64_t y : {(uint64_t)x->type, x->rows, x->columns, (uint64_t)x->lead, (uint64_t)x->batch, (uint64_t)x->step}) add(y);
  }
  return hash;
}

API int cublasLtMatmulAlgoGetHeuristic(
  void* handle, void* desc, void* a, void* b, void* c, void* d, void* preference, int requested, LtResult* results, int* returned
) {
  CALL("cublasLtMatmulAlgoGetHeuristic");
  if (!lives("cublasLt", handle)) return BLAS_NOT_INITIALIZED;
  if (!lives("ltDesc", desc) || !lives("ltPreference", preference) || requested < 1) return BLAS_INVALID_VALUE;
  for (void* layout : {a, b, c, d}) if (!lives("ltLayout", layout)) return BLAS_INVALID_VALUE;
  const LtDesc& product = *(LtDesc*)desc;
  const LtLayout &x = *(LtLayout*)a, &y = *(LtLayout*)b, &z = *(LtLayout*)d;
  const LtPreference& wanted = *(LtPreference*)preference;
  LtShape shape;
  *returned = 0;
  if (!ltFits(product, x, y, *(LtLayout*)c, z, shape)) {
    fprintf(stderr, "emulator: the matrices of a product do not fit\n");
    return BLAS_INVALID_VALUE;
  }
  if ((product.epilogue & 4) && (product.bias == 0 || product.bias % wanted.alignment[3] != 0)) return BLAS_INVALID_VALUE;
  for (uint32_t alignment : wanted.alignment) if (alignment < ltItemsize(x.type) || (alignment & (alignment - 1)) != 0) return BLAS_NOT_SUPPORTED;
  if (!ltSupports(product, x.type)) return BLAS_NOT_SUPPORTED;
  // Long sums are split where there is room for their parts.
  const uint64_t parts = shape.m * shape.n * x.batch * 16;
  LtAlgorithm algorithm{LT_MAGIC, ltProblem(product, x, y, z), shape.k >= 24 && parts <= wanted.workspace ? parts : 0, {}};
  memcpy(algorithm.alignment, wanted.alignment, sizeof wanted.alignment);
  memset(results, 0, sizeof *results);
  results->algorithm = algorithm;
  results->workspace = algorithm.workspace;
  *returned = 1;
  return 0;
}

static float ltRounded(float x, bool tf32) {
  if (!tf32) return x;
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if ((bits >> 23 & 255) != 255) bits = (bits + 0x1000) & ~0x1fffu;
  memcpy(&x, &bits, 4);
  return x;
}
template <class T> static T ltRounded(T x, bool) { return x; }

template <class S> static S ltActivate(S x, uint32_t epilogue) {
  // As the library: NaN becomes 0.
  if (epilogue & 2) return x > 0 ? x : 0;
  if (epilogue & 32) return (S)0.5 * x * (1 + std::tanh((S)0.7978845608028654 * (x + (S)0.044715 * x * x * x)));
  return x;
}
template <class S> static std::complex<S> ltActivate(std::complex<S> x, uint32_t) { return x; }

// T lies in memory, S is summed.
template <class T, class S> static void ltMultiply(
  const LtDesc& desc, const LtShape& shape, const T* a, int64_t lda, const T* b, int64_t ldb, const T* bias, T* d, int64_t ldd
) {
  const bool tf32 = desc.compute == 77;
  for (uint64_t j = 0; j < shape.n; j++) {
    for (uint64_t i = 0; i < shape.m; i++) {
      S sum = 0;
      for (uint64_t l = 0; l < shape.k; l++) {
        const T& x = a[desc.transA ? i * lda + l : l * lda + i];
        const T& y = b[desc.transB ? l * ldb + j : j * ldb + l];
        sum += (S)ltRounded(valueOf(x), tf32) * (S)ltRounded(valueOf(y), tf32);
      }
      if (desc.epilogue & 4) sum += (S)valueOf(bias[i]);
      put(d[j * ldd + i], ltActivate(sum, desc.epilogue));
    }
  }
}

API int cublasLtMatmul(
  void* handle, void* desc, const void* alpha, const void* a, void* aLayout, const void* b, void* bLayout, const void* beta, const void* c,
  void* cLayout, void* d, void* dLayout, const LtAlgorithm* algorithm, void* workspace, size_t workspaceSize, void* where
) {
  CALL("cublasLtMatmul");
  if (!lives("cublasLt", handle)) return BLAS_NOT_INITIALIZED;
  Stream* stream = streamOf(where);
  if (!lives("ltDesc", desc) || stream == nullptr || algorithm == nullptr) return BLAS_INVALID_VALUE;
  for (void* layout : {aLayout, bLayout, cLayout, dLayout}) if (!lives("ltLayout", layout)) return BLAS_INVALID_VALUE;
  const LtDesc product = *(LtDesc*)desc;
  const LtLayout x = *(LtLayout*)aLayout, y = *(LtLayout*)bLayout, z = *(LtLayout*)dLayout;
  LtShape shape;
  if (!ltFits(product, x, y, *(LtLayout*)cLayout, z, shape) || c != d) return BLAS_INVALID_VALUE;
  if (algorithm->magic != LT_MAGIC || algorithm->problem != ltProblem(product, x, y, z)) {
    fprintf(stderr, "emulator: an algorithm is used for another problem\n");
    return BLAS_INVALID_VALUE;
  }
  // Factors other than 1 and 0 are not asked for.
  const bool wide = x.type == 1 || x.type == 5;
  const double one = wide ? *(const double*)alpha : *(const float*)alpha, zero = wide ? *(const double*)beta : *(const float*)beta;
  if (one != 1 || zero != 0) return BLAS_NOT_SUPPORTED;
  struct Used { const char* name; Pointer at; size_t size, alignment; };
  std::vector<Used> used = {
    {"A", (Pointer)a, ltExtent(x), algorithm->alignment[0]}, {"B", (Pointer)b, ltExtent(y), algorithm->alignment[1]},
    {"D", (Pointer)d, ltExtent(z), algorithm->alignment[3]},
  };
  if (product.epilogue & 4) {
    const size_t size = ((x.batch - 1) * product.biasStep + shape.m) * ltItemsize(x.type);
    used.push_back({"the bias", product.bias, size, algorithm->alignment[3] > 16 ? algorithm->alignment[3] : 16});
  }
  if (algorithm->workspace > 0) {
    if (workspaceSize < algorithm->workspace) return BLAS_INVALID_VALUE;
    used.push_back({"the workspace", (Pointer)workspace, workspaceSize, 256});
  }
  for (const Used& u : used) {
    if (within(u.at, u.size) && u.at % u.alignment == 0) continue;
    fprintf(stderr, "emulator: %s of a product does not lie in device memory, or not aligned to %zu bytes\n", u.name, u.alignment);
    return BLAS_INVALID_VALUE;
  }
  const size_t parts = algorithm->workspace;
  stream->push([=] {
    for (const Used& u : used) {
      if (within(u.at, u.size)) continue;
      fprintf(stderr, "emulator: %s of a product was freed before it ran\n", u.name);
      stickyError = ILLEGAL_ADDRESS;
      return;
    }
    if (parts > 0) memset(workspace, 0xff, parts);
    for (int64_t i = 0; i < x.batch; i++) {
#define LT_PRODUCT(T, S) ltMultiply<T, S>(product, shape, (const T*)a + i * x.step, x.lead, (const T*)b + i * y.step, y.lead, \
  (const T*)product.bias + i * product.biasStep, (T*)d + i * z.step, z.lead)
      switch (x.type) {
        case 0: LT_PRODUCT(float, double); break;
        case 1: LT_PRODUCT(double, long double); break;
        case 2: LT_PRODUCT(Half, float); break;
        case 14: LT_PRODUCT(BHalf, float); break;
        case 4: LT_PRODUCT(std::complex<float>, std::complex<double>); break;
        case 5: LT_PRODUCT(std::complex<double>, std::complex<double>); break;
      }
#undef LT_PRODUCT
    }
  });
  return 0;
}
