// How well kernels use memory: the sectors of 32 bytes that each instruction of a warp touches, as hardware moves them. Lanes meet in an
// instruction where they come to the same place of the code for the same time.
#include <unordered_map>

struct Traffic {
  struct Instruction { std::vector<Pointer> sectors; bool writes; };
  // Of the block under way, by warp, place and time.
  std::unordered_map<std::string, Instruction> block;
  // How often each thread came to each place.
  std::unordered_map<std::string, unsigned> times;
  long sectors[2] = {0, 0};

  template <class... T> static std::string keyOf(const T&... parts) {
    std::string key;
    (key.append((const char*)&parts, sizeof parts), ...);
    return key;
  }
  void add(unsigned thread, const void* place, Pointer p, size_t size, bool writes) {
    Instruction& instruction = block[keyOf(thread / 32, place, times[keyOf(thread, place)]++)];
    instruction.writes = writes;
    for (Pointer sector = p / 32; sector <= (p + size - 1) / 32; sector++) {
      auto& known = instruction.sectors;
      if (std::find(known.rbegin(), known.rend(), sector) == known.rend()) known.push_back(sector);
    }
  }
  void endBlock() {
    for (const auto& [key, instruction] : block) sectors[instruction.writes] += instruction.sectors.size();
    block.clear();
    times.clear();
  }
};
static Traffic traffic;
static std::atomic<bool> countsTraffic{false};

// Counts from now on, from zero, or no more.
API void cuemuTraffic(int on) {
  traffic = Traffic();
  countsTraffic = on != 0;
}
// Sectors that were read, or written, by kernels that have ended.
API int cuemuSectors(int written) { return (int)traffic.sectors[written != 0]; }
