// The emulator in one translation unit; see emulator.h.
#include "emulator.h"
#include "streams.cpp"
#include "memory.cpp"
#include "peer.cpp"
#include "modules.cpp"
#include "nvrtc.cpp"
#include "cublas.cpp"
#include "cublaslt.cpp"
