// What a thread of a kernel knows of itself: shared by the emulator and the code it compiles.
#pragma once

struct Index3 { unsigned x, y, z; };
namespace emulated {
struct State {
  Index3 thread, block, blockSize, gridSize;
  // 0 waits for the block, 1 for the warp.
  void (*wait)(int kind);
  unsigned long long (*slots)[2];
  unsigned parity, linear;
};
extern thread_local State* state;
template <class A> constexpr unsigned long long sizeOf(void (*)(A)) { return sizeof(A); }
template <class A> void call(void (*f)(A), const void* block) { f(*(const A*)block); }
}
