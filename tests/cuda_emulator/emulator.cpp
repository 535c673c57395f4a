// The emulator in one translation unit; see emulator.h.
#include "emulator.h"
#include "streams.cpp"
#include "heap.cpp"
#include "memory.cpp"
#include "peer.cpp"
#include "library.cpp"
#include "nvrtc.cpp"
#include "traffic.cpp"
#include "blocks.cpp"
#include "modules.cpp"
#include "graphs.cpp"
#include "cublas.cpp"
#include "cublaslt.cpp"

// Streams may have work when the process ends: it stops here, before what it uses is taken apart.
static struct AtExit {
  ~AtExit() {
    for (std::mutex* mutex : {&kernelMutex, &globalMutex, &codeMutex}) mutex->lock();
  }
} atExit;
