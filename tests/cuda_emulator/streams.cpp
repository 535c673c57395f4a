// Faults, handles, devices, contexts, streams, events.
#include <chrono>

std::mutex globalMutex;
thread_local void* currentContext = nullptr;
std::atomic<int> stickyError{0};

bool isLazy() {
  static const bool lazy = [] { const char* mode = getenv("CUEMU_MODE"); return mode && !strcmp(mode, "lazy"); }();
  return lazy;
}
unsigned seed() {
  static const unsigned value = [] { const char* text = getenv("CUEMU_SEED"); return text ? (unsigned)atoi(text) : 1u; }();
  return value;
}

// ---- faults
struct Fault { int nth, code; };
static std::map<std::string, Fault> faults;
static std::map<std::string, int> calls;
int faultOf(const char* name) {
  std::lock_guard<std::mutex> lock(globalMutex);
  calls[name]++;
  const auto found = faults.find(name);
  if (found == faults.end() || --found->second.nth > 0) return 0;
  const int code = found->second.code;
  faults.erase(found);
  // Errors of the device itself lose it.
  if (code >= 700 && code < 720 && code != OUT_OF_RESOURCES) stickyError = code;
  return code;
}
// Makes the nth call from now on of a function fail with a code; nth 0 takes that back. Tells how often it was called so far.
API int cuemuFail(const char* name, int nth, int code) {
  std::lock_guard<std::mutex> lock(globalMutex);
  if (nth > 0) faults[name] = {nth, code};
  else faults.erase(name);
  return calls[name];
}

// How often a function was called so far.
API int cuemuCalls(const char* name) {
  std::lock_guard<std::mutex> lock(globalMutex);
  return calls[name];
}

// ---- handles
static std::map<std::string, std::set<void*>> handles;
void* born(const char* kind, void* handle) {
  std::lock_guard<std::mutex> lock(globalMutex);
  handles[kind].insert(handle);
  return handle;
}
bool lives(const char* kind, void* handle) {
  std::lock_guard<std::mutex> lock(globalMutex);
  return handles[kind].count(handle) > 0;
}
void died(const char* kind, void* handle) {
  std::lock_guard<std::mutex> lock(globalMutex);
  handles[kind].erase(handle);
}
long liveCount(const std::string& kind) {
  std::lock_guard<std::mutex> lock(globalMutex);
  return (long)handles[kind].size();
}
// The kinds of handles, one after the other; empty after the last.
API const char* cuemuKind(int i) {
  std::lock_guard<std::mutex> lock(globalMutex);
  auto at = handles.begin();
  while (i-- > 0 && at != handles.end()) ++at;
  return at == handles.end() ? "" : at->first.c_str();
}
// How many of a kind were not given back.
API int cuemuLive(const char* kind) { return (int)liveCount(kind); }

// ---- streams
Stream::Stream() : context(currentContext) {
  if (isLazy()) return;
  thread = std::thread([this] {
    for (;;) {
      Work work;
      {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return stopping || !queue.empty(); });
        if (queue.empty()) return;
        work = std::move(queue.front());
        queue.pop_front();
      }
      work();
      { std::lock_guard<std::mutex> lock(mutex); done++; }
      changed.notify_all();
    }
  });
}
Stream::~Stream() {
  wait();
  { std::lock_guard<std::mutex> lock(mutex); stopping = true; }
  changed.notify_all();
  if (thread.joinable()) thread.join();
}
void Stream::push(Work work) {
  if (capture != nullptr) return record(*capture, std::move(work));
  { std::lock_guard<std::mutex> lock(mutex); queue.push_back(std::move(work)); issued++; }
  changed.notify_all();
}
void Stream::wait(uint64_t upTo) {
  if (isLazy()) {
    while (done < upTo) {
      Work work = std::move(queue.front());
      queue.pop_front();
      work();
      done++;
    }
    return;
  }
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait(lock, [&] { return done >= upTo; });
}
bool Stream::idle(uint64_t upTo) {
  // Whoever asks again and again makes progress, so that polling ends.
  if (isLazy() && done < upTo) wait(done + 1);
  std::lock_guard<std::mutex> lock(mutex);
  return done >= upTo;
}
Stream* streamOf(void* handle) { return lives("stream", handle) ? (Stream*)handle : nullptr; }

// ---- devices and contexts
static bool initialized = false;
static int contextObjects[16], retained[16];
int deviceCount() {
  const char* text = getenv("CUEMU_DEVICES");
  return text ? atoi(text) : 1;
}
int deviceOf(void* context) {
  if (context == nullptr || !lives("context", context)) return -1;
  return (int)((int*)context - contextObjects);
}
API int cuInit(unsigned) { CALL("cuInit"); initialized = true; return OK; }
API int cuDriverGetVersion(int* version) { CALL("cuDriverGetVersion"); *version = 12080; return OK; }
API int cuDeviceGetCount(int* count) {
  CALL("cuDeviceGetCount");
  if (!initialized) return NOT_INITIALIZED;
  *count = deviceCount();
  return OK;
}
API int cuDeviceGet(int* device, int ordinal) { CALL("cuDeviceGet"); *device = ordinal; return ordinal < 0 || ordinal >= deviceCount() ? INVALID_DEVICE : OK; }
API int cuDeviceGetName(char* name, int length, int) { CALL("cuDeviceGetName"); snprintf(name, length, "Emulated GPU"); return OK; }
API int cuDeviceGetAttribute(int* value, int attribute, int) {
  CALL("cuDeviceGetAttribute");
  switch (attribute) {
    case 8: *value = 49152; break;
    case 16: *value = 2; break;
    case 75: *value = 9; break;
    case 76: *value = 0; break;
    case 115: *value = getenv("CUEMU_NO_POOLS") == nullptr; break;
    default: return INVALID_VALUE;
  }
  return OK;
}
API int cuDevicePrimaryCtxRetain(void** context, int device) {
  CALL("cuDevicePrimaryCtxRetain");
  if (!initialized) return NOT_INITIALIZED;
  *context = born("context", &contextObjects[device]);
  retained[device]++;
  return OK;
}
API int cuDevicePrimaryCtxRelease_v2(int device) {
  // Where it fails the reference is gone all the same, else a device that is lost later would stay so.
  const int fault = faultOf("cuDevicePrimaryCtxRelease_v2");
  if (retained[device] == 0) return INVALID_CONTEXT;
  if (--retained[device] > 0) return fault;
  died("context", &contextObjects[device]);
  // A new context finds the device as it was, and its memory free.
  if (stickyError != 0) freeAll(&contextObjects[device]);
  stickyError = 0;
  return fault;
}
API int cuCtxSetCurrent(void* context) {
  CALL("cuCtxSetCurrent");
  if (context != nullptr && !lives("context", context)) return INVALID_CONTEXT;
  currentContext = context;
  return OK;
}
API int cuGetErrorName(int code, const char** name) {
  switch (code) {
    case OK: *name = "CUDA_SUCCESS"; break;
    case INVALID_VALUE: *name = "CUDA_ERROR_INVALID_VALUE"; break;
    case OUT_OF_MEMORY: *name = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case NOT_INITIALIZED: *name = "CUDA_ERROR_NOT_INITIALIZED"; break;
    case NO_DEVICE: *name = "CUDA_ERROR_NO_DEVICE"; break;
    case INVALID_DEVICE: *name = "CUDA_ERROR_INVALID_DEVICE"; break;
    case INVALID_IMAGE: *name = "CUDA_ERROR_INVALID_IMAGE"; break;
    case INVALID_CONTEXT: *name = "CUDA_ERROR_INVALID_CONTEXT"; break;
    case INVALID_HANDLE: *name = "CUDA_ERROR_INVALID_HANDLE"; break;
    case NOT_FOUND: *name = "CUDA_ERROR_NOT_FOUND"; break;
    case NOT_READY: *name = "CUDA_ERROR_NOT_READY"; break;
    case ILLEGAL_ADDRESS: *name = "CUDA_ERROR_ILLEGAL_ADDRESS"; break;
    case OUT_OF_RESOURCES: *name = "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"; break;
    case LAUNCH_TIMEOUT: *name = "CUDA_ERROR_LAUNCH_TIMEOUT"; break;
    case ILLEGAL_INSTRUCTION: *name = "CUDA_ERROR_ILLEGAL_INSTRUCTION"; break;
    case MISALIGNED_ADDRESS: *name = "CUDA_ERROR_MISALIGNED_ADDRESS"; break;
    case LAUNCH_FAILED: *name = "CUDA_ERROR_LAUNCH_FAILED"; break;
    case ILLEGAL_STATE: *name = "CUDA_ERROR_ILLEGAL_STATE"; break;
    case NOT_SUPPORTED: *name = "CUDA_ERROR_NOT_SUPPORTED"; break;
    case CAPTURE_UNSUPPORTED: *name = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"; break;
    case CAPTURE_INVALIDATED: *name = "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"; break;
    case CAPTURED_EVENT: *name = "CUDA_ERROR_CAPTURED_EVENT"; break;
    case GRAPH_UPDATE_FAILURE: *name = "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE"; break;
    default: *name = "CUDA_ERROR_UNKNOWN";
  }
  return OK;
}
API int cuGetErrorString(int code, const char** text) {
  *text = code == OUT_OF_MEMORY ? "out of memory" : code == ILLEGAL_ADDRESS ? "an illegal memory access was encountered" : "emulated";
  return OK;
}

API int cuStreamCreate(void** stream, unsigned) { CALL("cuStreamCreate"); CONTEXT; *stream = born("stream", new Stream); return OK; }
API int cuStreamDestroy_v2(void* handle) {
  CALL("cuStreamDestroy_v2");
  Stream* stream = streamOf(handle);
  if (stream == nullptr) return INVALID_HANDLE;
  died("stream", handle);
  delete stream;
  return OK;
}
API int cuStreamSynchronize(void* handle) {
  CALL("cuStreamSynchronize");
  Stream* stream = streamOf(handle);
  if (stream == nullptr) return INVALID_HANDLE;
  if (const int error = captureForbids(stream)) return error;
  stream->wait();
  return stickyError;
}
API int cuEventCreate(void** event, unsigned) { CALL("cuEventCreate"); CONTEXT; *event = born("event", new Event{currentContext}); return OK; }
API int cuEventDestroy_v2(void* handle) {
  CALL("cuEventDestroy_v2");
  if (!lives("event", handle)) return INVALID_HANDLE;
  died("event", handle);
  delete (Event*)handle;
  return OK;
}
API int cuEventRecord(void* handle, void* where) {
  CALL("cuEventRecord");
  Stream* stream = streamOf(where);
  if (!lives("event", handle) || stream == nullptr) return INVALID_HANDLE;
  Event* event = (Event*)handle;
  if (event->context != stream->context) return INVALID_HANDLE;
  event->captured = stream->capture;
  if (stream->capture != nullptr) return OK;
  event->stream = stream;
  stream->push([time = event->time] {
    *time = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
  });
  event->at = stream->issued;
  return OK;
}
API int cuEventQuery(void* handle) {
  CALL("cuEventQuery");
  if (!lives("event", handle)) return INVALID_HANDLE;
  Event* event = (Event*)handle;
  if (event->captured != nullptr) return CAPTURED_EVENT;
  if (event->stream != nullptr && !event->stream->idle(event->at)) return NOT_READY;
  return stickyError;
}
API int cuEventSynchronize(void* handle) {
  CALL("cuEventSynchronize");
  if (!lives("event", handle)) return INVALID_HANDLE;
  Event* event = (Event*)handle;
  if (event->captured != nullptr) return CAPTURED_EVENT;
  if (event->stream != nullptr) event->stream->wait(event->at);
  return stickyError;
}
API int cuEventElapsedTime(float* ms, void* start, void* end) {
  CALL("cuEventElapsedTime");
  if (!lives("event", start) || !lives("event", end)) return INVALID_HANDLE;
  *ms = (float)(*((Event*)end)->time - *((Event*)start)->time);
  return OK;
}
