// What the parts of the emulator share. It exports the functions of the CUDA driver, NVRTC and cuBLAS that the project calls, and
// runs them on the CPU:
//   - each stream is a thread, or with CUEMU_MODE=lazy nothing runs until something waits: work that was not waited for shows;
//   - the order of blocks, warps and threads is shuffled by CUEMU_SEED;
//   - fresh, freed and shared memory is NaN; each access of a kernel is checked for its address and alignment, each call for its
//     handles, pointers and limits; an error of a kernel is told by every later call, until the context is released;
//   - cuemuTraffic counts the sectors of memory that warps touch;
//   - cuemuFail makes the nth call of a function fail; cuemuLive counts what was not given back, cuemuCalls how often a function was called.
#pragma once
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))
// The first line of every function: fails where a test wants it to.
#define CALL(name) if (const int fault = faultOf(name)) return fault
// A function that needs a current context, and a device that is not lost.
#define CONTEXT if (currentContext == nullptr) return INVALID_CONTEXT; if (stickyError != 0) return stickyError
// One that gives a handle back: it does so on a lost device too. Memory comes back with the context.
#define RELEASES if (currentContext == nullptr) return INVALID_CONTEXT

enum Status {
  OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
  INVALID_CONTEXT = 201, INVALID_HANDLE = 400, ILLEGAL_STATE = 401, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700,
  OUT_OF_RESOURCES = 701, LAUNCH_TIMEOUT = 702, ILLEGAL_INSTRUCTION = 715, MISALIGNED_ADDRESS = 716, LAUNCH_FAILED = 719,
  NOT_SUPPORTED = 801, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, CAPTURED_EVENT = 907, GRAPH_UPDATE_FAILURE = 910,
};

using Pointer = uint64_t;
using Work = std::function<void()>;

struct Capture;

struct Stream {
  // That of the thread which made it.
  void* context = nullptr;
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Work> queue;
  uint64_t issued = 0, done = 0;
  bool stopping = false;
  std::thread thread;
  // What is pushed while this is set is recorded instead.
  std::shared_ptr<Capture> capture;
  Stream();
  ~Stream();
  void push(Work work);
  void wait(uint64_t upTo);
  void wait() { wait(issued); }
  bool idle(uint64_t upTo);
};

struct Event {
  void* context = nullptr;
  Stream* stream = nullptr;
  uint64_t at = 0;
  // The capture in which it was recorded last.
  std::shared_ptr<Capture> captured;
  std::shared_ptr<double> time = std::make_shared<double>(0);
};

extern std::mutex globalMutex;
extern thread_local void* currentContext;
// The error that made the device unusable; every later call tells it.
extern std::atomic<int> stickyError;
bool isLazy();
unsigned seed();
int faultOf(const char* name);
Stream* streamOf(void* handle);
int deviceCount();
// The device of a live context; -1 for anything else.
int deviceOf(void* context);
// Records work of a stream that is captured.
void record(Capture& capture, Work work);
// Fails what must not be called while a stream is captured, and the capture with it; on null, while any is in the way of this thread.
int captureForbids(Stream* stream);
// Counts handles by kind; a kind's live handles are checked when they come in.
void* born(const char* kind, void* handle);
bool lives(const char* kind, void* handle);
void died(const char* kind, void* handle);
// Gives back the memory of a device that is lost.
void freeAll(void* context);
long liveCount(const std::string& kind);
