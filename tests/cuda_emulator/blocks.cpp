// Grids on a CPU: threads of a block run one after the other, or as fibers where they wait for each other, in an order that the seed
// shuffles. Each access to memory comes here first: a kernel may touch live allocations of its device, its shared memory, its
// arguments and its stack; anything else ends it.
#include <csetjmp>
#include <sys/mman.h>
#include <ucontext.h>

#if defined(__x86_64__)
struct Fiber { void* stack; };
extern "C" void emulatorSwitch(void** from, void* to);
asm(R"(
.text
.globl emulatorSwitch
.hidden emulatorSwitch
emulatorSwitch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
)");
#else
struct Fiber { ucontext_t context; };
#endif

enum Waiting { READY, FOR_BLOCK, FOR_LANES, DONE };
struct Thread { emulated::State state; Fiber fiber; int waiting; unsigned mask; };
static const size_t STACK = 256 << 10;
static const unsigned MOST_THREADS = 1024;

// A kernel under way on this thread of the CPU.
struct Grid {
  const emulated::Entry* kernel = nullptr;
  std::vector<char> arguments;
  int device = 0;
  const char *library = nullptr, *libraryEnd = nullptr;
  // Where the stack of a thread that is no fiber begins.
  const char* top = nullptr;
  unsigned current = 0;
  bool ended = false;
  jmp_buf end;
  Fiber scheduler;
  std::vector<Thread> threads = std::vector<Thread>(MOST_THREADS);
  // What each thread shows to its warp next, and what they showed in the exchange that was; ones where a lane takes no part.
  std::vector<unsigned long long> shows = std::vector<unsigned long long>(MOST_THREADS), shown = shows;
  // Which of them showed a one, for each of those who see it.
  std::vector<unsigned> votes = std::vector<unsigned>(MOST_THREADS);
  char* stacks;
  uint64_t random;
  Grid() {
    void* p = mmap(nullptr, STACK * MOST_THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) abort();
    stacks = (char*)p;
  }
  ~Grid() { munmap(stacks, STACK * MOST_THREADS); }
  // Uniform below n (xorshift64*).
  unsigned draw(unsigned n) {
    random ^= random >> 12, random ^= random << 25, random ^= random >> 27;
    return (unsigned)((random * 0x2545f4914f6cdd1d >> 32) * n >> 32);
  }
  void shuffle(unsigned* list, unsigned n, unsigned first) {
    for (unsigned i = 0; i < n; i++) list[i] = first + i;
    for (unsigned i = n; i > 1; i--) std::swap(list[i - 1], list[draw(i)]);
  }
};
static __thread Grid* grid __attribute__((tls_model("initial-exec"))) = nullptr;

static void switchToScheduler() {
  Thread& thread = grid->threads[grid->current];
#if defined(__x86_64__)
  emulatorSwitch(&thread.fiber.stack, grid->scheduler.stack);
#else
  swapcontext(&thread.fiber.context, &grid->scheduler.context);
#endif
}
// Loses the device by an error that every later call tells.
static void lose(int code, const std::string& why) {
  fprintf(stderr, "emulator: %s of %s.cu %s\n", grid->kernel->name, grid->kernel->source, why.c_str());
  if (stickyError == 0) stickyError = code;
  grid->ended = true;
}
// The same from a thread of the kernel, which ends.
static void endKernel(int code, const std::string& why) {
  lose(code, why);
  if (grid->kernel->waits) for (;;) switchToScheduler();
  longjmp(grid->end, 1);
}

// ---- what the compiler calls before each access
static inline bool isIn(const void* p, const void* from, const void* to) { return p >= from && p < to; }
static void access(const char* p, size_t size, bool aligned, const char* what) {
  const char* here = (const char*)__builtin_frame_address(0);
  Grid* g = grid;
  if (g == nullptr) return;
  const size_t at = (Pointer)p - (Pointer)heap().base;
  if (aligned && at < REGION && (Pointer)p % size == 0 && heap().allows((Pointer)p, size, g->device)) return;
  const char* stackEnd = g->kernel->waits ? g->stacks + (g->current + 1) * STACK : g->top;
  if (isIn(p, here, stackEnd) || isIn(p, g->library, g->libraryEnd)) return;
  if (isIn(p, g->threads.data(), g->threads.data() + MOST_THREADS)) return;
  if (isIn(p, g->arguments.data(), g->arguments.data() + g->arguments.size())) return;
  auto place = [&] {
    const Thread& t = g->threads[g->current];
    return " in thread " + std::to_string(t.state.linear) + " of block " + std::to_string(t.state.block.x);
  };
  if (heap().contains((Pointer)p)) {
    if (aligned && (Pointer)p % size != 0) {
      endKernel(MISALIGNED_ADDRESS, std::string(what) + " " + std::to_string(size) + " bytes at an address that is not a multiple" + place());
    }
    if (!heap().allows((Pointer)p, size, g->device)) {
      endKernel(ILLEGAL_ADDRESS, std::string(what) + " " + std::to_string(size) + " bytes outside of live memory" + place());
    }
    return;
  }
  char address[32];
  snprintf(address, sizeof address, "%p", p);
  endKernel(ILLEGAL_ADDRESS, std::string(what) + " at " + address + ", which is no device memory" + place());
}
static void meter(const char* p, size_t size, bool writes, const void* place) {
  if (grid != nullptr && heap().contains((Pointer)p)) {
    traffic.add(grid->threads[grid->current].state.linear, place, (Pointer)p, size, writes);
  }
}
#define METER(writes) if (countsTraffic) meter(p, size, writes, __builtin_return_address(0))
#define ACCESS(n) \
  API void __asan_load##n##_noabort(const char* p) { const size_t size = n; METER(false); access(p, size, true, "read"); } \
  API void __asan_store##n##_noabort(const char* p) { const size_t size = n; METER(true); access(p, size, true, "wrote"); }
ACCESS(1) ACCESS(2) ACCESS(4) ACCESS(8) ACCESS(16)
API void __asan_loadN_noabort(const char* p, size_t size) { METER(false); access(p, size, false, "read"); }
API void __asan_storeN_noabort(const char* p, size_t size) { METER(true); access(p, size, false, "wrote"); }
API void __asan_handle_no_return() {}

// ---- threads
static void waitFor(int kind, unsigned mask) {
  Thread& thread = grid->threads[grid->current];
  const unsigned lane = thread.state.linear & 31;
  if (kind == 1 && (mask >> lane & 1) == 0) endKernel(ILLEGAL_INSTRUCTION, "named lanes of a warp without the caller's");
  thread.waiting = kind == 0 ? FOR_BLOCK : FOR_LANES;
  thread.mask = mask;
  switchToScheduler();
}
static unsigned long long shownBy(unsigned mask, unsigned lane) {
  return mask >> (lane & 31) & 1 ? grid->shown[(grid->current & ~31u) | (lane & 31)] : ~0ull;
}
static unsigned long long exchange(unsigned mask, unsigned long long bits, unsigned from) {
  grid->shows[grid->current] = bits;
  waitFor(1, mask);
  return shownBy(mask, from);
}
static unsigned ballot(unsigned mask, int set) {
  grid->shows[grid->current] = set != 0;
  waitFor(1, mask);
  return grid->votes[grid->current];
}
static void fiberMain() {
  grid->kernel->call(grid->arguments.data());
  grid->threads[grid->current].waiting = DONE;
  for (;;) switchToScheduler();
}
static void resume(unsigned i) {
  grid->current = i;
  grid->kernel->enter(&grid->threads[i].state);
#if defined(__x86_64__)
  emulatorSwitch(&grid->scheduler.stack, grid->threads[i].fiber.stack);
#else
  swapcontext(&grid->scheduler.context, &grid->threads[i].fiber.context);
#endif
}
static void prepare(Thread& thread, unsigned i) {
  thread.waiting = READY;
  char* stack = grid->stacks + i * STACK;
#if defined(__x86_64__)
  auto* top = (uintptr_t*)(stack + STACK - 64);
  *--top = 0;
  *--top = (uintptr_t)fiberMain;
  for (int r = 0; r < 6; r++) *--top = 0;
  thread.fiber.stack = top;
#else
  getcontext(&thread.fiber.context);
  thread.fiber.context.uc_stack.ss_sp = stack;
  thread.fiber.context.uc_stack.ss_size = STACK;
  thread.fiber.context.uc_link = nullptr;
  makecontext(&thread.fiber.context, fiberMain, 0);
#endif
}

// Lets the lanes go on that wait for each other and are all there; whether there were any.
static bool releaseLanes(unsigned first, unsigned end) {
  auto& threads = grid->threads;
  bool any = false;
  for (unsigned i = first; i < end; i++) {
    if (threads[i].waiting != FOR_LANES) continue;
    const unsigned mask = threads[i].mask;
    bool complete = true;
    for (unsigned j = first; j < end; j++) {
      if ((mask >> (j & 31) & 1) == 0) continue;
      const int other = threads[j].waiting;
      if (other == FOR_BLOCK) {
        lose(LAUNCH_TIMEOUT, "hangs: lanes of a warp wait for one that waits for the block");
        return false;
      }
      // Lanes that ended need not come.
      if (other == READY || (other == FOR_LANES && threads[j].mask != mask)) complete = false;
    }
    if (!complete) continue;
    unsigned votes = 0;
    for (unsigned j = first; j < end; j++) {
      const bool member = mask >> (j & 31) & 1;
      if (member && threads[j].waiting == DONE) grid->shown[j] = ~0ull;
      if (!member || threads[j].waiting != FOR_LANES) continue;
      grid->shown[j] = grid->shows[j];
      votes |= (unsigned)(grid->shows[j] == 1) << (j & 31);
      threads[j].waiting = READY;
    }
    for (unsigned j = first; j < end; j++) if (mask >> (j & 31) & 1) grid->votes[j] = votes;
    any = true;
  }
  return any;
}
// A block whose threads wait for each other.
static void runFibers(unsigned n) {
  auto& threads = grid->threads;
  for (unsigned i = 0; i < n; i++) prepare(threads[i], i);
  std::fill(grid->shown.begin(), grid->shown.end(), ~0ull);
  const unsigned warps = (n + 31) / 32;
  unsigned order[MOST_THREADS / 32], lanes[32];
  // Rounds: every warp runs until all of its threads wait for the block, or are done.
  for (bool alive = true; alive;) {
    grid->shuffle(order, warps, 0);
    for (unsigned v = 0; v < warps; v++) {
      const unsigned first = order[v] * 32, end = first + 32 < n ? first + 32 : n;
      do {
        grid->shuffle(lanes, end - first, first);
        for (unsigned i = 0; i < end - first; i++) {
          if (threads[lanes[i]].waiting == READY) resume(lanes[i]);
          if (grid->ended) return;
        }
      } while (releaseLanes(first, end));
      if (grid->ended) return;
      for (unsigned i = first; i < end; i++) {
        if (threads[i].waiting != FOR_LANES) continue;
        lose(LAUNCH_TIMEOUT, "hangs: lanes of a warp wait with different masks");
        return;
      }
    }
    alive = false;
    for (unsigned i = 0; i < n; i++) {
      if (threads[i].waiting != FOR_BLOCK) continue;
      threads[i].waiting = READY;
      alive = true;
    }
  }
}

// A kernel with its arguments, as a launch left it.
struct Launch {
  const emulated::Entry* kernel;
  std::vector<char> arguments;
  int device;
  Index3 blocks, threads;
};
// Kernels take turns: shared memory is there once, and atomic operations are plain ones.
static std::mutex kernelMutex;

static void runGrid(const Launch& launch) {
  std::lock_guard<std::mutex> lock(kernelMutex);
  // Nothing runs on a device that is lost.
  if (stickyError != 0) return;
  static thread_local std::unique_ptr<Grid> mine;
  if (mine == nullptr) mine = std::make_unique<Grid>();
  Grid& g = *mine;
  const emulated::Entry& kernel = *launch.kernel;
  g.kernel = &kernel;
  g.arguments = launch.arguments;
  g.device = launch.device;
  g.ended = false;
  const auto& range = rangeOf(&kernel);
  g.library = range.first, g.libraryEnd = range.second;
  static uint64_t launches = 0;
  g.random = (seed() + 1) * 0x9e3779b97f4a7c15 ^ ++launches * 0xd1342543de82ef95;
  const Index3 size = launch.threads, grids = launch.blocks;
  const unsigned n = size.x * size.y * size.z, blocks = grids.x * grids.y * grids.z;
  auto fill = [&](emulated::State& s, unsigned i, unsigned b) {
    s.thread = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    s.block = {b % grids.x, b / grids.x % grids.y, b / (grids.x * grids.y)};
    s.blockSize = size;
    s.gridSize = grids;
    s.wait = waitFor;
    s.exchange = exchange;
    s.ballot = ballot;
    s.linear = i;
  };
  std::vector<unsigned> blockOrder(blocks), order(n);
  g.shuffle(blockOrder.data(), blocks, 0);
  grid = &g;
  g.top = (const char*)__builtin_frame_address(0);
  if (setjmp(g.end) == 0) {
    for (unsigned b = 0; b < blocks && !g.ended; b++) {
      // Shared memory starts with anything: here NaN.
      if (kernel.shared != nullptr) memset(kernel.shared, 0xff, kernel.sharedEnd - kernel.shared);
      if (kernel.waits) {
        for (unsigned i = 0; i < n; i++) fill(g.threads[i].state, i, blockOrder[b]);
        runFibers(n);
        if (countsTraffic) traffic.endBlock();
        continue;
      }
      g.current = 0;
      g.shuffle(order.data(), n, 0);
      kernel.enter(&g.threads[0].state);
      for (unsigned i = 0; i < n; i++) {
        fill(g.threads[0].state, order[i], blockOrder[b]);
        kernel.call(g.arguments.data());
      }
      if (countsTraffic) traffic.endBlock();
    }
  }
  grid = nullptr;
}
