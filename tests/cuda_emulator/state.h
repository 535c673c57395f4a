// What a thread of a kernel knows of itself, and how it is found: shared by the emulator and the code it compiles.
#pragma once

struct Index3 { unsigned x, y, z; };
namespace emulated {
struct State {
  Index3 thread, block, blockSize, gridSize;
  // 0 waits for the block, 1 for the lanes in a mask.
  void (*wait)(int kind, unsigned mask);
  // Shows bits to the lanes in a mask, and gives those of a lane, ones where it takes no part; or a bit of each lane.
  unsigned long long (*exchange)(unsigned mask, unsigned long long bits, unsigned from);
  unsigned (*ballot)(unsigned mask, int set);
  unsigned linear;
};
extern __thread State* state;
// A kernel in a compiled library.
struct Entry {
  const char *source, *name;
  void (*call)(const void* block);
  void (*enter)(State* state);
  unsigned long long size;
  bool waits;
  // Threads of a block at most; 0 where it does not say.
  unsigned bounds;
  // Its shared memory; null where it has none.
  char *shared, *sharedEnd;
};
// Kernels take one struct, or nothing.
constexpr unsigned long long sizeOf(void (*)()) { return 0; }
inline void call(void (*f)(), const void*) { f(); }
template <class A> constexpr unsigned long long sizeOf(void (*)(A)) { return sizeof(A); }
template <class A> void call(void (*f)(A), const void* block) { f(*(const A*)block); }
}
