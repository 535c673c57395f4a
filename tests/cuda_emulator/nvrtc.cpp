// NVRTC: what it gives is no machine code but the name of a source, whose kernels are compiled by g++; see library.cpp.

struct Program { std::string source, log, code; };
static const std::string MAGIC = "emulated ";

enum { NVRTC_OUT_OF_MEMORY = 1, NVRTC_INVALID_PROGRAM = 4, NVRTC_INVALID_OPTION = 5, NVRTC_COMPILATION = 6, NVRTC_INTERNAL = 11 };

API int nvrtcVersion(int* major, int* minor) { CALL("nvrtcVersion"); *major = 0; *minor = 2; return 0; }
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
  const Code* code = codeOf(hashOf(program->source), &program->source);
  program->log = code->log;
  if (code->failed) return NVRTC_COMPILATION;
  program->code = MAGIC + code->hash;
  return 0;
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
static int codeSize(void* handle, size_t* size) {
  Program* program = programOf(handle);
  if (program == nullptr) return NVRTC_INVALID_PROGRAM;
  *size = program->code.size() + 1;
  return 0;
}
static int codeText(void* handle, char* code) {
  Program* program = programOf(handle);
  if (program == nullptr) return NVRTC_INVALID_PROGRAM;
  memcpy(code, program->code.c_str(), program->code.size() + 1);
  return 0;
}
API int nvrtcGetCUBINSize(void* handle, size_t* size) { CALL("nvrtcGetCUBINSize"); return codeSize(handle, size); }
API int nvrtcGetCUBIN(void* handle, char* code) { CALL("nvrtcGetCUBIN"); return codeText(handle, code); }
API int nvrtcGetPTXSize(void* handle, size_t* size) { CALL("nvrtcGetPTXSize"); return codeSize(handle, size); }
API int nvrtcGetPTX(void* handle, char* code) { CALL("nvrtcGetPTX"); return codeText(handle, code); }
