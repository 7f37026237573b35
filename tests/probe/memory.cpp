// probe-memory MIB FILE [HOT]: fills so much memory with numbers that tell where they are, then for ever rewrites 20 MB
// of it a second, at random, but only in its first HOT MiB, and checks all of it again and again. FILE has "ROUNDS
// BAD", ROUNDS whole checks done.
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/probe/report.h"

namespace {

constexpr size_t kPage = 512;                                               // numbers in one
uint64_t right(size_t i) { return ((i + 1) * 0x9e3779b97f4a7c15u) >> 32; }  // can be packed, somewhat

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) return 2;
  const size_t mib = strtoul(argv[1], nullptr, 10), hot = argc > 3 ? strtoul(argv[3], nullptr, 10) : mib;
  const size_t count = (mib << 20) / sizeof(uint64_t), pages = count / kPage, hot_pages = (hot << 20) / 4096;
  auto* memory = static_cast<volatile uint64_t*>(malloc(count * sizeof(uint64_t)));
  if (!memory || pages == 0 || hot_pages == 0 || hot_pages > pages) return 1;
  for (size_t i = 0; i < count; ++i) memory[i] = right(i);
  size_t bad = 0;
  for (unsigned rounds = 0;; ++rounds) {
    report(argv[2], rounds, bad);
    for (size_t checked = 0; checked < pages;) {
      for (int i = 0; i < 256; ++i) {  // 1 MB
        const size_t at = static_cast<size_t>(random()) % hot_pages * kPage;
        memory[at] = right(at);
      }
      const size_t end = checked + pages / 20 + 1;
      for (; checked < end && checked < pages; ++checked) {
        const size_t at = checked * kPage + checked % kPage;
        bad += memory[at] != right(at);
      }
      const timespec pause{0, 50'000'000};
      nanosleep(&pause, nullptr);
    }
  }
}
