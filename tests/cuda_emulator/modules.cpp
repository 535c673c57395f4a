// Modules and launches: a "cubin" is a shared library that the emulated NVRTC made; threads of a block run one after the other, or
// as fibers where they wait for each other.
#include <dlfcn.h>
#include <elf.h>
#include <ucontext.h>
#include <unistd.h>
#include "state.h"

struct Module { void* library; std::vector<void*> functions; };
struct Function {
  void (*call)(const void* block);
  void (*enter)(emulated::State* state);
  size_t size;
  bool waits;
};

API int cuModuleLoadData(void** module, const void* image) {
  CALL("cuModuleLoadData"); CONTEXT;
  const auto* header = (const Elf64_Ehdr*)image;
  if (memcmp(header, ELFMAG, 4) != 0) return INVALID_IMAGE;
  const size_t size = header->e_shoff + (size_t)header->e_shnum * header->e_shentsize;
  // A name of its own: the loader takes a name that it knows for the same library.
  std::string path = temporaryFolder() + "/emulated-XXXXXX";
  const int fd = mkstemp(path.data());
  if (fd < 0 || write(fd, image, size) != (ssize_t)size) return INVALID_IMAGE;
  close(fd);
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  unlink(path.c_str());
  if (library == nullptr) {
    fprintf(stderr, "emulator: %s\n", dlerror());
    return INVALID_IMAGE;
  }
  *module = born("module", new Module{library, {}});
  return OK;
}
API int cuModuleUnload(void* handle) {
  CALL("cuModuleUnload"); CONTEXT;
  if (!lives("module", handle)) return INVALID_HANDLE;
  auto* module = (Module*)handle;
  for (void* function : module->functions) {
    died("function", function);
    delete (Function*)function;
  }
  died("module", handle);
  dlclose(module->library);
  delete module;
  return OK;
}
API int cuModuleGetFunction(void** function, void* handle, const char* name) {
  CALL("cuModuleGetFunction"); CONTEXT;
  if (!lives("module", handle)) return INVALID_HANDLE;
  auto* module = (Module*)handle;
  const std::string suffix = name;
  auto find = [&](const char* prefix) { return dlsym(module->library, (prefix + suffix).c_str()); };
  auto* call = (void (*)(const void*))find("emulated_call_");
  if (call == nullptr) return NOT_FOUND;
  auto* enter = (void (*)(emulated::State*))dlsym(module->library, "emulated_enter");
  auto* made = new Function{call, enter, *(const size_t*)find("emulated_size_"), *(const bool*)dlsym(module->library, "emulated_waits")};
  module->functions.push_back(made);
  *function = born("function", made);
  return OK;
}
API int cuFuncGetAttribute(int* value, int, void* function) {
  CALL("cuFuncGetAttribute");
  if (!lives("function", function)) return INVALID_HANDLE;
  *value = 0;
  return OK;
}

// ---- fibers
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

enum Waiting { READY, FOR_BLOCK, FOR_WARP, DONE };
struct Thread { emulated::State state; Fiber fiber; int waiting; };
static const size_t STACK = 64 << 10;

// A block under way on this stream's thread.
struct Block {
  std::vector<Thread> threads;
  std::vector<char> stacks;
  std::vector<unsigned long long> slots;
  Fiber scheduler;
  unsigned current = 0;
  const Function* function = nullptr;
  const void* arguments = nullptr;
};
static thread_local Block* block = nullptr;

static void leave(int kind) {
  Thread& thread = block->threads[block->current];
  if (kind >= 0) thread.waiting = kind == 0 ? FOR_BLOCK : FOR_WARP;
#if defined(__x86_64__)
  emulatorSwitch(&thread.fiber.stack, block->scheduler.stack);
#else
  swapcontext(&thread.fiber.context, &block->scheduler.context);
#endif
}
static void fiberMain() {
  block->function->call(block->arguments);
  block->threads[block->current].waiting = DONE;
  for (;;) leave(-1);
}
static void resume(unsigned i) {
  block->current = i;
  block->function->enter(&block->threads[i].state);
#if defined(__x86_64__)
  emulatorSwitch(&block->scheduler.stack, block->threads[i].fiber.stack);
#else
  swapcontext(&block->scheduler.context, &block->threads[i].fiber.context);
#endif
}
static void prepare(Thread& thread, unsigned i) {
  thread.waiting = READY;
#if defined(__x86_64__)
  auto* stack = (uintptr_t*)((uintptr_t)&block->stacks[(i + 1) * STACK - 64] & ~63ull);
  *--stack = 0;
  *--stack = (uintptr_t)fiberMain;
  for (int r = 0; r < 6; r++) *--stack = 0;
  thread.fiber.stack = stack;
#else
  getcontext(&thread.fiber.context);
  thread.fiber.context.uc_stack.ss_sp = &block->stacks[i * STACK];
  thread.fiber.context.uc_stack.ss_size = STACK;
  thread.fiber.context.uc_link = nullptr;
  makecontext(&thread.fiber.context, fiberMain, 0);
#endif
}

// A permutation of n things.
static unsigned shuffled(unsigned i, unsigned n) { return (i + seed()) % n; }

static void runBlock(const Function& function, const void* arguments, Index3 at, Index3 blocks, Index3 size) {
  const unsigned n = size.x * size.y * size.z;
  auto fill = [&](emulated::State& s, unsigned i) {
    s.thread = {i % size.x, i / size.x % size.y, i / (size.x * size.y)};
    s.block = at;
    s.blockSize = size;
    s.gridSize = blocks;
    s.wait = leave;
    s.linear = i;
  };
  if (!function.waits) {
    emulated::State state{};
    function.enter(&state);
    for (unsigned i = 0; i < n; i++) {
      fill(state, shuffled(i, n));
      function.call(arguments);
    }
    return;
  }
  static thread_local Block mine;
  block = &mine;
  mine.function = &function;
  mine.arguments = arguments;
  if (mine.threads.size() < n) {
    mine.threads.resize(n);
    mine.stacks.resize(n * STACK);
    mine.slots.resize(2 * n);
  }
  for (unsigned i = 0; i < n; i++) {
    Thread& thread = mine.threads[i];
    thread.state = {};
    fill(thread.state, i);
    thread.state.slots = (unsigned long long(*)[2])mine.slots.data();
    prepare(thread, i);
  }
  // Rounds: every warp runs until all of its threads wait for the block, or are done.
  const unsigned warps = (n + 31) / 32;
  for (bool alive = true; alive;) {
    for (unsigned v = 0; v < warps; v++) {
      const unsigned first = shuffled(v, warps) * 32, end = first + 32 < n ? first + 32 : n;
      for (bool again = true; again;) {
        again = false;
        for (unsigned i = first; i < end; i++) {
          const unsigned t = first + shuffled(i - first, end - first);
          if (mine.threads[t].waiting == READY) resume(t);
        }
        for (unsigned i = first; i < end; i++) {
          if (mine.threads[i].waiting != FOR_WARP) continue;
          mine.threads[i].waiting = READY;
          again = true;
        }
      }
    }
    alive = false;
    for (unsigned i = 0; i < n; i++) {
      if (mine.threads[i].waiting != FOR_BLOCK) continue;
      mine.threads[i].waiting = READY;
      alive = true;
    }
  }
}

// A kernel with the arguments of one launch.
struct Launch {
  Function function;
  std::vector<char> arguments;
  Index3 blocks, threads;
};

// Checks a launch and takes its arguments aside, as the driver does.
static int launchOf(
  void* handle, Index3 blocks, Index3 threads, unsigned shared, void** parameters, void** extra, std::shared_ptr<Launch>& launch
) {
  if (!lives("function", handle)) return INVALID_HANDLE;
  const bool grid = blocks.x > 0 && blocks.x <= 2147483647u && blocks.y > 0 && blocks.y <= 65535 && blocks.z > 0 && blocks.z <= 65535;
  const uint64_t count = (uint64_t)threads.x * threads.y * threads.z;
  if (!grid || count == 0 || count > 1024 || shared > 49152 || parameters == nullptr || extra != nullptr) return INVALID_VALUE;
  const Function function = *(Function*)handle;
  if (function.size > 4096) return INVALID_VALUE;
  const char* arguments = (const char*)parameters[0];
  launch = std::make_shared<Launch>(Launch{function, std::vector<char>(arguments, arguments + function.size), blocks, threads});
  return OK;
}
static void runGrid(const Launch& launch) {
  const Index3 grid = launch.blocks;
  const unsigned blocks = grid.x * grid.y * grid.z;
  for (unsigned i = 0; i < blocks; i++) {
    const unsigned b = shuffled(i, blocks);
    const Index3 at = {b % grid.x, b / grid.x % grid.y, b / (grid.x * grid.y)};
    runBlock(launch.function, launch.arguments.data(), at, grid, launch.threads);
  }
}

API int cuLaunchKernel(
  void* handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void* where,
  void** parameters, void** extra
) {
  CALL("cuLaunchKernel"); CONTEXT;
  Stream* stream = streamOf(where);
  if (stream == nullptr) return INVALID_HANDLE;
  std::shared_ptr<Launch> launch;
  if (const int error = launchOf(handle, {gx, gy, gz}, {bx, by, bz}, shared, parameters, extra, launch)) return error;
  if (launch != nullptr) stream->push([launch] { runGrid(*launch); });
  return OK;
}
