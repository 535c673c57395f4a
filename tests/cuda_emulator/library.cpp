// Kernels in compiled libraries. Starting g++ costs more than a kernel does, so many sources are compiled at once where they are known
// beforehand: while compiling is put off (cuemuDefer), sources are collected and launches of them skipped, until cuemuCompile makes
// libraries of them. Sources and libraries lie beside the emulator and serve later processes.
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>
#include <atomic>
#include <unordered_map>
#include "state.h"

struct Code {
  std::string hash, source, log;
  // Kernels by name, once compiled.
  std::map<std::string, const emulated::Entry*> kernels;
  bool compiled = false, failed = false, pending = false;
};

static std::mutex codeMutex;
static std::unordered_map<std::string, std::unique_ptr<Code>> codes;
static std::vector<Code*> pendingCodes;
static bool deferring = false, optimizing = false;

std::string readFile(const std::string& path) {
  std::string text;
  if (FILE* file = fopen(path.c_str(), "rb")) {
    char part[65536];
    for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;) text.append(part, n);
    fclose(file);
  }
  return text;
}
static bool writeFile(const std::string& path, const std::string& text) {
  FILE* file = fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  const bool all = fwrite(text.data(), 1, text.size(), file) == text.size();
  return fclose(file) == 0 && all;
}
// 128 bits of a text (FNV-1a from two offsets).
static std::string hashOf(const std::string& text) {
  uint64_t a = 0xcbf29ce484222325, b = 0x9e3779b97f4a7c15;
  for (const unsigned char c : text) a = (a ^ c) * 0x100000001b3, b = (b ^ c) * 0x100000001b3 + (b >> 47);
  char hex[33];
  snprintf(hex, sizeof hex, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
  return hex;
}

static const std::string& ownPath() {
  static const std::string path = [] {
    Dl_info info;
    dladdr((void*)readFile, &info);
    return std::string(info.dli_fname);
  }();
  return path;
}
// The folders beside the emulator: libraries are those of this build, sources are everybody's.
static const std::string& librariesFolder() {
  static const std::string folder = [] {
    const std::string made = ownPath().substr(0, ownPath().rfind('.')) + ".kernels";
    mkdir(made.c_str(), 0700);
    return made;
  }();
  return folder;
}
static const std::string& sourcesFolder() {
  static const std::string folder = [] {
    const std::string made = librariesFolder().substr(0, librariesFolder().rfind('/')) + "/kernels";
    mkdir(made.c_str(), 0700);
    return made;
  }();
  return folder;
}

// ---- which library has a source: a line each in the index, to which all processes append
static std::unordered_map<std::string, std::string> libraryOf;
static long indexRead = 0;
static void readIndex() {
  const std::string path = librariesFolder() + "/index";
  struct stat found;
  if (stat(path.c_str(), &found) != 0 || found.st_size <= indexRead) return;
  FILE* file = fopen(path.c_str(), "rb");
  if (file == nullptr) return;
  fseek(file, indexRead, SEEK_SET);
  char hash[64], library[64];
  while (fscanf(file, "%63s %63s\n", hash, library) == 2) libraryOf[hash] = library;
  indexRead = ftell(file);
  fclose(file);
}

// Where libraries lie in memory.
static std::map<const void*, std::pair<const char*, const char*>> ranges;
static std::pair<const char*, const char*> rangeOf(const emulated::Entry* entry) {
  std::lock_guard<std::mutex> lock(codeMutex);
  return std::prev(ranges.upper_bound(entry))->second;
}

// Opens a library and hands its kernels to their sources.
static bool openLibrary(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    fprintf(stderr, "emulator: %s\n", dlerror());
    return false;
  }
  const auto* entries = (const emulated::Entry*)dlsym(library, "emulated_entries");
  const char* end = *(const char* const*)dlsym(library, "emulated_end");
  Dl_info info;
  dladdr(entries, &info);
  ranges[info.dli_fbase] = {(const char*)info.dli_fbase, end};
  for (const emulated::Entry* entry = entries; entry->source != nullptr; entry++) {
    auto& code = codes[entry->source];
    if (code == nullptr) code = std::make_unique<Code>(Code{entry->source});
    code->kernels[entry->name] = entry;
    code->compiled = true;
  }
  return true;
}

// ---- text
static std::vector<std::string> wordsAfter(const std::string& text, const std::string& mark) {
  std::vector<std::string> words;
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1)) {
    size_t from = at + mark.size(), to = from;
    while (to < text.size() && (isalnum(text[to]) || text[to] == '_')) to++;
    words.push_back(text.substr(from, to - from));
  }
  return words;
}
struct Declared { std::string name, bounds; };
// The kernels that a source declares: `__global__ void [__launch_bounds__(n)] name(`.
static std::vector<Declared> kernelsOf(const std::string& text) {
  std::vector<Declared> found;
  for (size_t at = text.find("__global__"); at != std::string::npos; at = text.find("__global__", at + 1)) {
    Declared declared{"", "0"};
    std::vector<std::string> words;
    size_t i = at + 10;
    for (; i < text.size() && text[i] != ';' && text[i] != '{'; i++) {
      if (isspace(text[i])) continue;
      if (text[i] == '(') {
        if (words.empty() || words.back() != "__launch_bounds__") break;
        const size_t end = text.find(')', i);
        declared.bounds = text.substr(i + 1, text.find_first_of(",)", i) - i - 1);
        i = end;
        continue;
      }
      size_t to = i;
      while (to < text.size() && (isalnum(text[to]) || text[to] == '_')) to++;
      if (to == i) continue;
      words.push_back(text.substr(i, to - i));
      i = to - 1;
    }
    if (words.empty()) continue;
    declared.name = words.back();
    found.push_back(declared);
  }
  return found;
}
// One translation unit with some sources, each in a namespace and with macros of its own.
static std::string translationUnit(const std::vector<Code*>& batch) {
  std::string text = std::string("#include \"") + EMULATOR_HOME + "/device.h\"\n"
    "__thread emulated::State* emulated::state;\n"
    "extern \"C\" __attribute__((visibility(\"hidden\"))) char _end[];\n"
    "extern \"C\" __attribute__((visibility(\"default\"))) const char* const emulated_end = _end;\n"
    "static void emulated_enter(emulated::State* s) { emulated::state = s; }\n";
  std::string entries = "extern \"C\" __attribute__((visibility(\"default\"))) const emulated::Entry emulated_entries[] = {\n";
  for (size_t i = 0; i < batch.size(); i++) {
    const std::string& source = batch[i]->source;
    const std::string id = std::to_string(i), section = "emulated_shared_" + id;
    const bool shares = source.find("__shared__") != std::string::npos;
    const bool waits = source.find("__syncthreads") != std::string::npos || source.find("_sync") != std::string::npos ||
      source.find("__syncwarp") != std::string::npos;
    const auto kernels = kernelsOf(source);
    text += "namespace source_" + id + " {\n#define EMULATED_SHARED \"" + section + "\"\n";
    for (const auto& [name, bounds] : kernels) text += "#define " + name + " " + name + "_" + id + "\n";
    text += "#line 1 \"kernel.cu\"\n" + source + "\n#undef EMULATED_SHARED\n";
    for (const auto& macro : wordsAfter(source, "#define ")) text += "#undef " + macro + "\n";
    for (const auto& [name, bounds] : kernels) text += "#undef " + name + "\n";
    text += "}\n";
    if (shares) {
      text += "extern \"C\" __attribute__((visibility(\"hidden\"))) char __start_" + section + "[], __stop_" + section + "[];\n";
    }
    for (const auto& [name, bounds] : kernels) {
      const std::string kernel = "source_" + id + "::" + name + "_" + id;
      text += "static void call_" + name + "_" + id + "(const void* block) { emulated::call(" + kernel + ", block); }\n";
      entries += "  {\"" + batch[i]->hash + "\", \"" + name + "\", call_" + name + "_" + id + ", emulated_enter, emulated::sizeOf(" +
        kernel + "), " + (waits ? "true, " : "false, ") + bounds + ", " +
        (shares ? "__start_" + section + ", __stop_" + section : std::string("nullptr, nullptr")) + "},\n";
    }
  }
  return text + entries + "  {}\n};\n";
}

// ---- compiling
static std::string uniqueName() {
  static std::atomic<unsigned> count{0};
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  return std::to_string(getpid()) + "-" + std::to_string(now) + "-" + std::to_string(count++);
}
// Compiles some sources to a library; gives its name, or nothing and the compiler's messages.
static std::string build(const std::vector<Code*>& batch, std::string& log) {
  const std::string name = "batch-" + uniqueName() + ".so", base = librariesFolder() + "/tmp-" + name;
  const char* compiler = getenv("CUEMU_CXX");
  // Each access to memory calls the emulator, which knows what may be touched; what is accessed as a whole stays whole. A kernel alone
  // costs the start of the compiler anyway, so it is made faster.
  const std::string command = std::string(compiler ? compiler : "g++") +
    " -std=gnu++17 " + (batch.size() == 1 || optimizing ? "-O1 -fno-tree-sra" : "-O0") + " -w -fPIC -shared -fvisibility=hidden -fno-strict-aliasing -ffp-contract=off -fno-math-errno -nodefaultlibs"
    " -fsanitize=kernel-address --param asan-instrumentation-with-call-threshold=0 --param asan-stack=0 --param asan-globals=0"
    " -o '" + base + "' '" + base + ".cpp' '" + ownPath() + "' -lm -lc -lgcc 2>'" + base + ".log'";
  bool made = writeFile(base + ".cpp", translationUnit(batch)) && system(command.c_str()) == 0;
  log = readFile(base + ".log");
  made = made && rename(base.c_str(), (librariesFolder() + "/" + name).c_str()) == 0;
  for (const char* end : {"", ".cpp", ".log"}) unlink((base + end).c_str());
  return made ? name : "";
}
static std::string sourceOf(const Code& code) { return sourcesFolder() + "/" + code.hash + ".cu"; }
// Keeps a source: for the reader, and for processes that find its name in a cubin but not its library.
static void keepSource(const Code& code) {
  const std::string path = sourceOf(code), temporary = path + "." + uniqueName();
  if (access(path.c_str(), F_OK) != 0 && writeFile(temporary, code.source)) rename(temporary.c_str(), path.c_str());
}
static const size_t SHARED_BYTES = 49152;
// Compiles sources, those that belong together in one library.
static void compileAll(const std::vector<Code*>& wanted) {
  std::vector<std::vector<Code*>> batches(1);
  size_t bytes = 0;
  for (Code* code : wanted) {
    if (bytes > 400000) batches.emplace_back(), bytes = 0;
    batches.back().push_back(code);
    bytes += code->source.size();
  }
  std::vector<std::pair<std::string, std::vector<Code*>>> made;
  std::mutex mutex;
  std::atomic<size_t> next{0};
  auto keep = [&](const std::string& name, const std::vector<Code*>& batch) {
    std::lock_guard<std::mutex> lock(mutex);
    made.push_back({name, batch});
  };
  auto work = [&] {
    for (size_t i; (i = next++) < batches.size();) {
      std::string log;
      const std::string name = build(batches[i], log);
      if (!name.empty()) {
        keep(name, batches[i]);
        continue;
      }
      for (Code* code : batches[i]) {
        const std::string own = batches[i].size() == 1 ? "" : build({code}, code->log);
        if (batches[i].size() == 1) code->log = log;
        if (own.empty()) {
          code->failed = true;
          unlink(sourceOf(*code).c_str());
        } else keep(own, {code});
      }
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < batches.size() && i < 2; i++) others.emplace_back(work);
  work();
  for (auto& thread : others) thread.join();
  std::string lines;
  for (const auto& [name, batch] : made) {
    if (!openLibrary(librariesFolder() + "/" + name)) {
      for (Code* code : batch) code->failed = true;
      continue;
    }
    bool fits = true;
    for (Code* code : batch) {
      for (const auto& [kernel, entry] : code->kernels) {
        const size_t shared = entry->sharedEnd - entry->shared;
        if (shared <= SHARED_BYTES) continue;
        code->failed = true;
        code->log = "error: " + kernel + " uses too much shared data (" + std::to_string(shared) + " bytes)";
        fits = false;
      }
    }
    // What does not fit must fail in the next process too.
    if (fits) for (Code* code : batch) lines += code->hash + " " + name + "\n", keepSource(*code);
  }
  if (FILE* index = fopen((librariesFolder() + "/index").c_str(), "ab")) {
    fwrite(lines.data(), 1, lines.size(), index);
    fclose(index);
  }
}

// A source compiled, or with its messages; while compiling is put off, a new one stays as it is.
static Code* codeOf(const std::string& hash, const std::string* source) {
  std::lock_guard<std::mutex> lock(codeMutex);
  auto& found = codes[hash];
  if (found == nullptr) found = std::make_unique<Code>(Code{hash});
  Code* code = found.get();
  if (code->compiled || code->failed) return code;
  if (code->source.empty()) {
    code->source = source != nullptr ? *source : readFile(sourceOf(*code));
  }
  readIndex();
  if (const auto known = libraryOf.find(hash); known != libraryOf.end()) {
    // A library may have been removed since.
    const std::string path = librariesFolder() + "/" + known->second;
    if (access(path.c_str(), R_OK) == 0) openLibrary(path);
    if (code->compiled) return code;
  }
  if (!deferring) compileAll({code});
  else if (!code->pending) {
    code->pending = true;
    keepSource(*code);
    pendingCodes.push_back(code);
  }
  return code;
}

// Puts compiling off, or ends that; 2 where kernels run so long that they should be made fast.
API void cuemuDefer(int on) {
  std::lock_guard<std::mutex> lock(codeMutex);
  deferring = on != 0;
  optimizing = on == 2;
}
// How many launches were skipped since this was asked last, because their kernels were put off.
API int cuemuMissed() { return missedLaunches.exchange(0); }
// Compiles what was put off; tells how many sources.
API int cuemuCompile() {
  std::lock_guard<std::mutex> lock(codeMutex);
  const std::vector<Code*> wanted = std::move(pendingCodes);
  pendingCodes.clear();
  for (Code* code : wanted) code->pending = false;
  if (!wanted.empty()) compileAll(wanted);
  return (int)wanted.size();
}
