// Device memory, page-locked host memory, pools, copies.

struct Allocation { size_t size; bool pool; void* context; };
static std::map<Pointer, Allocation> allocations;
static std::map<Pointer, size_t> hostAllocations;
// Launches that were skipped; see library.cpp.
static std::atomic<int> missedLaunches{0};
static size_t liveBytes = 0, poolUsed = 0, poolReserved = 0;
static uint64_t poolThreshold = 0;
static int poolObject;

static size_t totalBytes() {
  static const size_t total = [] { const char* text = getenv("CUEMU_MEMORY"); return text ? (size_t)atoll(text) : (size_t)1 << 28; }();
  return total;
}

static int allocateDevice(Pointer* pointer, size_t size, bool pool) {
  if (size == 0) return INVALID_VALUE;
  const int device = deviceOf(currentContext);
  std::lock_guard<std::mutex> lock(globalMutex);
  if (liveBytes + size > totalBytes()) return OUT_OF_MEMORY;
  char* p = heap().allocate(size, device);
  if (p == nullptr) return OUT_OF_MEMORY;
  // Where kernels were skipped, loops should find an end.
  memset(p, missedLaunches > 0 ? 0 : 0xff, size);
  allocations[(Pointer)p] = {size, pool, currentContext};
  liveBytes += size;
  if (pool) {
    poolUsed += size;
    if (poolReserved < poolUsed) poolReserved = poolUsed;
  }
  *pointer = (Pointer)p;
  return OK;
}
static int freeDevice(Pointer pointer) {
  std::lock_guard<std::mutex> lock(globalMutex);
  const auto found = allocations.find(pointer);
  if (found == allocations.end()) return INVALID_VALUE;
  const auto [size, pool, context] = found->second;
  memset((void*)pointer, 0xff, size);
  heap().release((char*)pointer, size);
  allocations.erase(found);
  liveBytes -= size;
  if (pool) poolUsed -= size;
  return OK;
}
void freeAll(void* context) {
  std::vector<Pointer> all;
  {
    std::lock_guard<std::mutex> lock(globalMutex);
    for (const auto& [pointer, allocation] : allocations) {
      if (allocation.context == context) all.push_back(pointer);
    }
  }
  for (const Pointer pointer : all) freeDevice(pointer);
}
// Whether some bytes lie within one allocation.
static bool within(Pointer p, size_t size) {
  std::lock_guard<std::mutex> lock(globalMutex);
  auto next = allocations.upper_bound(p);
  if (next == allocations.begin()) return false;
  --next;
  return p + size <= next->first + next->second.size;
}
// The context in which the memory at an address was allocated; null where there is none.
static void* contextOf(Pointer p) {
  std::lock_guard<std::mutex> lock(globalMutex);
  auto next = allocations.upper_bound(p);
  if (next == allocations.begin()) return nullptr;
  --next;
  return p < next->first + next->second.size ? next->second.context : nullptr;
}
static bool isPinned(const void* host) {
  std::lock_guard<std::mutex> lock(globalMutex);
  auto next = hostAllocations.upper_bound((Pointer)host);
  if (next == hostAllocations.begin()) return false;
  --next;
  return (Pointer)host < next->first + next->second;
}
// Blocks that were not given back, besides those that handles count.
API int cuemuBlocks() { std::lock_guard<std::mutex> lock(globalMutex); return (int)(allocations.size() + hostAllocations.size()); }

API int cuDeviceTotalMem_v2(size_t* bytes, int) { CALL("cuDeviceTotalMem_v2"); *bytes = totalBytes(); return OK; }
API int cuMemGetInfo_v2(size_t* free, size_t* total) {
  CALL("cuMemGetInfo_v2"); CONTEXT;
  std::lock_guard<std::mutex> lock(globalMutex);
  *total = totalBytes();
  *free = *total - liveBytes;
  return OK;
}
API int cuMemAlloc_v2(Pointer* pointer, size_t size) {
  CALL("cuMemAlloc_v2"); CONTEXT;
  if (const int error = captureForbids(nullptr)) return error;
  return allocateDevice(pointer, size, false);
}
API int cuMemFree_v2(Pointer pointer) {
  CALL("cuMemFree_v2"); CONTEXT;
  if (const int error = captureForbids(nullptr)) return error;
  return freeDevice(pointer);
}
API int cuMemAllocAsync(Pointer* pointer, size_t size, void* handle) {
  CALL("cuMemAllocAsync"); CONTEXT;
  Stream* stream = streamOf(handle);
  if (stream == nullptr) return INVALID_HANDLE;
  // Graphs with memory of their own are not emulated: they cannot be children of others.
  if (const int error = captureForbids(stream)) return error;
  return allocateDevice(pointer, size, true);
}
API int cuMemFreeAsync(Pointer pointer, void* handle) {
  CALL("cuMemFreeAsync"); CONTEXT;
  Stream* stream = streamOf(handle);
  if (stream == nullptr) return INVALID_HANDLE;
  if (!within(pointer, 1)) return INVALID_VALUE;
  stream->push([pointer] {
    if (freeDevice(pointer) == OK) return;
    fprintf(stderr, "emulator: memory was freed twice\n");
    stickyError = INVALID_VALUE;
  });
  return stickyError;
}
API int cuDeviceGetDefaultMemPool(void** pool, int) { CALL("cuDeviceGetDefaultMemPool"); *pool = &poolObject; return OK; }
API int cuMemPoolSetAttribute(void* pool, int attribute, void* value) {
  CALL("cuMemPoolSetAttribute");
  if (pool != &poolObject || attribute != 4) return INVALID_VALUE;
  poolThreshold = *(uint64_t*)value;
  return OK;
}
API int cuMemPoolGetAttribute(void* pool, int attribute, void* value) {
  CALL("cuMemPoolGetAttribute");
  if (pool != &poolObject) return INVALID_VALUE;
  std::lock_guard<std::mutex> lock(globalMutex);
  switch (attribute) {
    case 4: *(uint64_t*)value = poolThreshold; return OK;
    case 5: *(uint64_t*)value = poolReserved; return OK;
    case 7: *(uint64_t*)value = poolUsed; return OK;
    default: return INVALID_VALUE;
  }
}
API int cuMemPoolTrimTo(void* pool, size_t keep) {
  CALL("cuMemPoolTrimTo");
  if (pool != &poolObject) return INVALID_VALUE;
  std::lock_guard<std::mutex> lock(globalMutex);
  if (poolReserved > keep) poolReserved = poolUsed > keep ? poolUsed : keep;
  return OK;
}
API int cuMemHostAlloc(void** pointer, size_t size, unsigned) {
  CALL("cuMemHostAlloc"); CONTEXT;
  void* p = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
  if (p == nullptr) return OUT_OF_MEMORY;
  memset(p, 0xff, size);
  std::lock_guard<std::mutex> lock(globalMutex);
  hostAllocations[(Pointer)p] = size;
  *pointer = p;
  return OK;
}
API int cuMemFreeHost(void* pointer) {
  CALL("cuMemFreeHost");
  std::lock_guard<std::mutex> lock(globalMutex);
  const auto found = hostAllocations.find((Pointer)pointer);
  if (found == hostAllocations.end()) return INVALID_VALUE;
  memset(pointer, 0xff, found->second);
  free(pointer);
  hostAllocations.erase(found);
  return OK;
}

static int copyCheck(Pointer device, size_t size, void* handle) {
  if (streamOf(handle) == nullptr) return INVALID_HANDLE;
  if (within(device, size)) return OK;
  fprintf(stderr, "emulator: %zu bytes of a copy do not lie in device memory\n", size);
  return INVALID_VALUE;
}
API int cuMemcpyHtoDAsync_v2(Pointer device, const void* host, size_t size, void* handle) {
  CALL("cuMemcpyHtoDAsync_v2"); CONTEXT;
  if (const int error = copyCheck(device, size, handle)) return error;
  Stream* stream = streamOf(handle);
  if (isPinned(host)) {
    stream->push([=] { memcpy((void*)device, host, size); });
  } else {
    // Ordinary memory is taken aside during the call.
    auto staged = std::make_shared<std::vector<char>>((const char*)host, (const char*)host + size);
    stream->push([=] { memcpy((void*)device, staged->data(), size); });
  }
  return OK;
}
API int cuMemcpyDtoHAsync_v2(void* host, Pointer device, size_t size, void* handle) {
  CALL("cuMemcpyDtoHAsync_v2"); CONTEXT;
  if (const int error = copyCheck(device, size, handle)) return error;
  Stream* stream = streamOf(handle);
  stream->push([=] { memcpy(host, (void*)device, size); });
  // To ordinary memory the call returns when the copy is done.
  if (!isPinned(host)) stream->wait();
  return stickyError;
}
API int cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t size, void* handle) {
  CALL("cuMemcpyDtoDAsync_v2"); CONTEXT;
  if (const int error = copyCheck(to, size, handle)) return error;
  if (const int error = copyCheck(from, size, handle)) return error;
  streamOf(handle)->push([=] { memmove((void*)to, (void*)from, size); });
  return OK;
}
