// Modules, functions and launches.

// A loop may wait for what is skipped.
static const int MOST_MISSED = 1000;
static std::atomic<int> missedInTurn{0};

struct Module { Code* code; std::vector<void*> functions; };
struct Function { Code* code; std::string name; };

// The kernel of a function, compiled now if it is not; null while that is put off, or where it failed.
static const emulated::Entry* entryOf(Code* code, const std::string& name) {
  if (!code->compiled && !code->failed) codeOf(code->hash, nullptr);
  const auto found = code->kernels.find(name);
  return found == code->kernels.end() ? nullptr : found->second;
}

API int cuModuleLoadData(void** module, const void* image) {
  CALL("cuModuleLoadData"); CONTEXT;
  if (strncmp((const char*)image, MAGIC.c_str(), MAGIC.size()) != 0) return INVALID_IMAGE;
  Code* code = codeOf((const char*)image + MAGIC.size(), nullptr);
  if (code->failed || (code->source.empty() && !code->compiled)) return INVALID_IMAGE;
  *module = born("module", new Module{code, {}});
  return OK;
}
API int cuModuleUnload(void* handle) {
  CALL("cuModuleUnload"); RELEASES;
  if (!lives("module", handle)) return INVALID_HANDLE;
  auto* module = (Module*)handle;
  for (void* function : module->functions) {
    died("function", function);
    delete (Function*)function;
  }
  died("module", handle);
  delete module;
  return stickyError;
}
API int cuModuleGetFunction(void** function, void* handle, const char* name) {
  CALL("cuModuleGetFunction"); CONTEXT;
  if (!lives("module", handle)) return INVALID_HANDLE;
  auto* module = (Module*)handle;
  if (entryOf(module->code, name) == nullptr && module->code->compiled) return NOT_FOUND;
  auto* made = new Function{module->code, name};
  module->functions.push_back(made);
  *function = born("function", made);
  return OK;
}
API int cuFuncGetAttribute(int* value, int attribute, void* handle) {
  CALL("cuFuncGetAttribute");
  if (!lives("function", handle)) return INVALID_HANDLE;
  auto* function = (Function*)handle;
  const emulated::Entry* kernel = entryOf(function->code, function->name);
  // 0: threads of a block at most; 1: bytes of shared memory
  const bool bound = attribute == 0 && kernel != nullptr;
  *value = bound ? (int)(kernel->bounds ? kernel->bounds : MOST_THREADS)
    : attribute == 1 && kernel != nullptr ? (int)(kernel->sharedEnd - kernel->shared) : 0;
  return OK;
}
// The size of a function's arguments, in bytes; 0 where it is not known.
API int cuemuArgumentBytes(void* handle) {
  if (!lives("function", handle)) return 0;
  auto* function = (Function*)handle;
  const emulated::Entry* kernel = entryOf(function->code, function->name);
  return kernel == nullptr ? 0 : (int)kernel->size;
}

// Checks a launch and takes its arguments aside, as the driver does; with OK and no kernel there is nothing to run.
static int launchOf(
  void* handle, Index3 blocks, Index3 threads, unsigned shared, void** parameters, void** extra, std::shared_ptr<Launch>& launch
) {
  if (!lives("function", handle)) return INVALID_HANDLE;
  const bool grid = blocks.x > 0 && blocks.x <= 2147483647u && blocks.y > 0 && blocks.y <= 65535 && blocks.z > 0 && blocks.z <= 65535;
  const uint64_t count = (uint64_t)threads.x * threads.y * threads.z;
  if (!grid || count == 0 || count > MOST_THREADS || threads.z > 64 || parameters == nullptr || extra != nullptr) return INVALID_VALUE;
  auto* function = (Function*)handle;
  const emulated::Entry* kernel = entryOf(function->code, function->name);
  if (kernel == nullptr && missedInTurn >= MOST_MISSED && cuemuCompile() > 0) {
    missedInTurn = 0;
    kernel = entryOf(function->code, function->name);
  }
  if (kernel == nullptr) {
    if (deferring && !function->code->failed) return missedInTurn++, missedLaunches++, OK;
    fprintf(stderr, "emulator: %s\n", function->code->log.c_str());
    return INVALID_IMAGE;
  }
  if (shared + (size_t)(kernel->sharedEnd - kernel->shared) > SHARED_BYTES || kernel->size > 4096) return INVALID_VALUE;
  if (kernel->bounds != 0 && count > kernel->bounds) return OUT_OF_RESOURCES;
  const char* arguments = (const char*)parameters[0];
  launch = std::make_shared<Launch>(
    Launch{kernel, std::vector<char>(arguments, arguments + kernel->size), deviceOf(currentContext), blocks, threads});
  return OK;
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
