// NVRTC by g++: the source with device.h before it and wrappers behind it becomes a shared library.
#include <regex>

struct Program { std::string source, log, code; };

std::string readFile(const std::string& path) {
  std::string text;
  if (FILE* file = fopen(path.c_str(), "rb")) {
    char part[65536];
    for (size_t n; (n = fread(part, 1, sizeof part, file)) > 0;) text.append(part, n);
    fclose(file);
  }
  return text;
}

enum { NVRTC_OUT_OF_MEMORY = 1, NVRTC_INVALID_PROGRAM = 4, NVRTC_INVALID_OPTION = 5, NVRTC_COMPILATION = 6, NVRTC_INTERNAL = 11 };

API int nvrtcVersion(int* major, int* minor) { CALL("nvrtcVersion"); *major = 0; *minor = 1; return 0; }
API const char* nvrtcGetErrorString(int code) {
  return code == 0 ? "NVRTC_SUCCESS" : code == NVRTC_COMPILATION ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR_INTERNAL_ERROR";
}
// CUEMU_ARCHITECTURE is the newest it knows.
API int nvrtcGetNumSupportedArchs(int* count) { CALL("nvrtcGetNumSupportedArchs"); *count = 2; return 0; }
API int nvrtcGetSupportedArchs(int* list) {
  CALL("nvrtcGetSupportedArchs");
  const char* newest = getenv("CUEMU_ARCHITECTURE");
  list[0] = 70;
  list[1] = newest ? atoi(newest) : 90;
  return 0;
}
API int nvrtcCreateProgram(void** program, const char* source, const char*, int headers, const char**, const char**) {
  CALL("nvrtcCreateProgram");
  if (headers != 0) return NVRTC_INVALID_OPTION;
  *program = born("program", new Program{source, "", ""});
  return 0;
}
API int nvrtcDestroyProgram(void** program) {
  CALL("nvrtcDestroyProgram");
  if (!lives("program", *program)) return NVRTC_INVALID_PROGRAM;
  died("program", *program);
  delete (Program*)*program;
  *program = nullptr;
  return 0;
}
API int nvrtcCompileProgram(void* handle, int count, const char** options) {
  CALL("nvrtcCompileProgram");
  if (!lives("program", handle)) return NVRTC_INVALID_PROGRAM;
  auto* program = (Program*)handle;
  bool architecture = false;
  for (int i = 0; i < count; i++) architecture |= strncmp(options[i], "--gpu-architecture=", 19) == 0;
  if (!architecture) return NVRTC_INVALID_OPTION;
  std::string folder = temporaryFolder() + "/emulated-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return NVRTC_INTERNAL;
  const bool waits = std::regex_search(program->source, std::regex("__syncthreads|__syncwarp|_sync\\s*\\("));
  std::string wrappers = std::string("\nthread_local emulated::State* emulated::state;\n#define EXPORT extern \"C\" __attribute__((visibility(\"default\")))\n") +
    "EXPORT void emulated_enter(emulated::State* s) { emulated::state = s; }\nEXPORT const bool emulated_waits = " + (waits ? "true" : "false") + ";\n";
  const std::regex kernel(R"(__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+))");
  for (std::sregex_iterator it(program->source.begin(), program->source.end(), kernel), end; it != end; ++it) {
    const std::string name = (*it)[1];
    wrappers += "EXPORT void emulated_call_" + name + "(const void* block) { emulated::call(" + name + ", block); }\n" +
      "EXPORT const unsigned long long emulated_size_" + name + " = emulated::sizeOf(" + name + ");\n";
  }
  if (FILE* file = fopen((folder + "/k.cpp").c_str(), "w")) {
    fprintf(file, "#include \"%s/device.h\"\n#line 1 \"kernel.cu\"\n%s%s", EMULATOR_HOME, program->source.c_str(), wrappers.c_str());
    fclose(file);
  }
  const char* compiler = getenv("CUEMU_CXX");
  const std::string command = std::string(compiler ? compiler : "g++") +
    " -std=gnu++17 -O1 -w -fPIC -shared -fvisibility=hidden -fno-strict-aliasing -ffp-contract=off -fno-math-errno -nodefaultlibs -o " +
    folder + "/k.so " + folder + "/k.cpp -lm -lc -lgcc 2>" + folder + "/log";
  const int status = system(command.c_str());
  program->log = readFile(folder + "/log");
  if (status == 0) program->code = readFile(folder + "/k.so");
  for (const char* name : {"/k.cpp", "/k.so", "/log"}) unlink((folder + name).c_str());
  rmdir(folder.c_str());
  return status == 0 ? 0 : NVRTC_COMPILATION;
}
static Program* programOf(void* handle) { return lives("program", handle) ? (Program*)handle : nullptr; }
API int nvrtcGetProgramLogSize(void* handle, size_t* size) {
  CALL("nvrtcGetProgramLogSize");
  Program* program = programOf(handle);
  if (program == nullptr) return NVRTC_INVALID_PROGRAM;
  *size = program->log.size() + 1;
  return 0;
}
API int nvrtcGetProgramLog(void* handle, char* text) {
  CALL("nvrtcGetProgramLog");
  Program* program = programOf(handle);
  if (program == nullptr) return NVRTC_INVALID_PROGRAM;
  strcpy(text, program->log.c_str());
  return 0;
}
API int nvrtcGetCUBINSize(void* handle, size_t* size) {
  CALL("nvrtcGetCUBINSize");
  Program* program = programOf(handle);
  if (program == nullptr) return NVRTC_INVALID_PROGRAM;
  *size = program->code.size();
  return 0;
}
API int nvrtcGetCUBIN(void* handle, char* code) {
  CALL("nvrtcGetCUBIN");
  Program* program = programOf(handle);
  if (program == nullptr) return NVRTC_INVALID_PROGRAM;
  memcpy(code, program->code.data(), program->code.size());
  return 0;
}
API int nvrtcGetPTXSize(void* handle, size_t* size) { CALL("nvrtcGetPTXSize"); return nvrtcGetCUBINSize(handle, size); }
API int nvrtcGetPTX(void* handle, char* code) { CALL("nvrtcGetPTX"); return nvrtcGetCUBIN(handle, code); }
