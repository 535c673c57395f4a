// Copies between devices, and the order of one stream after another. CUEMU_NO_WAITS=1 forgets that order, to see what depends on it.
API int cuStreamWaitEvent(void* where, void* handle, unsigned flags) {
  CALL("cuStreamWaitEvent");
  Stream* stream = streamOf(where);
  if (stream == nullptr || !lives("event", handle)) return INVALID_HANDLE;
  if (flags != 0) return INVALID_VALUE;
  // The event as it is recorded now, whatever becomes of it.
  Stream* other = ((Event*)handle)->stream;
  const uint64_t at = ((Event*)handle)->at;
  if (other == nullptr || other == stream || getenv("CUEMU_NO_WAITS") != nullptr) return OK;
  stream->push([=] { if (streamOf(other) != nullptr) other->wait(at); });
  return OK;
}
API int cuDeviceCanAccessPeer(int* can, int device, int peer) {
  CALL("cuDeviceCanAccessPeer");
  if (device < 0 || peer < 0 || device >= deviceCount() || peer >= deviceCount()) return INVALID_DEVICE;
  *can = device != peer;
  return OK;
}
static std::set<std::pair<void*, void*>> peers;
API int cuCtxEnablePeerAccess(void* context, unsigned flags) {
  CALL("cuCtxEnablePeerAccess"); CONTEXT;
  if (deviceOf(context) < 0 || context == currentContext) return INVALID_CONTEXT;
  if (flags != 0) return INVALID_VALUE;
  std::lock_guard<std::mutex> lock(globalMutex);
  return peers.insert({currentContext, context}).second ? OK : 704;
}
API int cuMemPoolSetAccess(void* pool, const int* rights, size_t count) {
  CALL("cuMemPoolSetAccess");
  if (pool != &poolObject || count != 1 || rights[0] != 1 || rights[2] != 3) return INVALID_VALUE;
  return rights[1] >= 0 && rights[1] < deviceCount() ? OK : INVALID_DEVICE;
}
API int cuMemcpyPeerAsync(Pointer to, void* toContext, Pointer from, void* fromContext, size_t size, void* handle) {
  CALL("cuMemcpyPeerAsync"); CONTEXT;
  if (const int error = copyCheck(to, size, handle)) return error;
  if (const int error = copyCheck(from, size, handle)) return error;
  if (contextOf(to) != toContext || contextOf(from) != fromContext) {
    fprintf(stderr, "emulator: a copy between devices names another device than the memory's\n");
    return INVALID_CONTEXT;
  }
  streamOf(handle)->push([=] {
    if (!within(from, size) || !within(to, size)) {
      fprintf(stderr, "emulator: memory was freed before it was copied\n");
      stickyError = ILLEGAL_ADDRESS;
    } else memmove((void*)to, (void*)from, size);
  });
  return OK;
}
