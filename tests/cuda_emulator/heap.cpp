// Device addresses: one reserved region, in which kernels may touch exactly the bytes of live allocations. An address is not used
// again soon after it was freed.
#include <sys/mman.h>

static const size_t REGION = (size_t)1 << 36, ALIGNMENT = 256;
// Bytes between an allocation and the next, which nothing may touch.
static const size_t GAP = 256;
// Freed bytes that wait before their addresses come back.
static const size_t QUARANTINE = (size_t)32 << 20;

struct Heap {
  char* base;
  // For each 8 bytes: how many of them, from the first on, may be touched, and above that the device they belong to.
  uint8_t* shadow;
  size_t used = 0, waiting = 0;
  std::deque<std::pair<size_t, size_t>> quarantine;
  std::multimap<size_t, size_t> free;

  Heap() {
    base = reserve(REGION);
    shadow = (uint8_t*)reserve(REGION / 8);
  }
  static char* reserve(size_t size) {
    void* p = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
      perror("emulator: cannot reserve addresses");
      abort();
    }
    return (char*)p;
  }
  static size_t spaceOf(size_t size) { return (size + GAP + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

  // Memory for a device; null where there are no addresses left.
  char* allocate(size_t size, int device) {
    const size_t space = spaceOf(size);
    size_t at = used;
    if (const auto found = free.find(space); found != free.end()) {
      at = found->second;
      free.erase(found);
    } else if (used + space > REGION) {
      return nullptr;
    } else {
      used += space;
    }
    memset(shadow + at / 8, device << 4 | 8, size / 8);
    if (size % 8 != 0) shadow[(at + size) / 8] = (uint8_t)(device << 4 | size % 8);
    return base + at;
  }
  void release(char* p, size_t size) {
    const size_t at = p - base, space = spaceOf(size);
    memset(shadow + at / 8, 0, (size + 7) / 8);
    // Large blocks give their pages back at once.
    if (space >= 1 << 20) {
      const size_t from = (at + 4095) / 4096 * 4096, to = (at + space) / 4096 * 4096;
      madvise(base + from, to - from, MADV_DONTNEED);
    }
    quarantine.push_back({at, space});
    for (waiting += space; waiting > QUARANTINE; quarantine.pop_front()) {
      const auto [oldest, length] = quarantine.front();
      waiting -= length;
      free.insert({length, oldest});
    }
  }
  bool contains(Pointer p) const { return p - (Pointer)base < REGION; }
  // Whether a kernel of a device may touch these bytes.
  bool allows(Pointer p, size_t size, int device) const {
    const size_t at = p - (Pointer)base;
    for (size_t granule = at / 8; granule <= (at + size - 1) / 8; granule++) {
      const size_t end = at + size - granule * 8;
      if (shadow[granule] >> 4 != device || (shadow[granule] & 15u) < (end < 8 ? end : 8)) return false;
    }
    return true;
  }
};
static Heap* const made = new Heap;
static inline Heap& heap() { return *made; }
