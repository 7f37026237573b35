// probe-files DIR FILE: for ever writes to files in DIR, and checks what it has written: one through a mapping, one
// that only grows, one that has no name any more. FILE has "ROUNDS BAD". probe-files once FILE: writes "once" at the
// beginning of FILE through a mapping, which it ends.
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tests/probe/report.h"

namespace {

constexpr size_t kPages = 256, kPage = 4096;

int open_new(const std::string& path) { return open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644); }

char* map(int fd, size_t size) {
  void* at = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  return at == MAP_FAILED ? nullptr : static_cast<char*>(at);
}

int write_once(const char* path) {
  const int fd = open(path, O_RDWR);
  char* at = fd < 0 ? nullptr : map(fd, kPage);
  if (!at) return 1;
  memcpy(at, "once", 4);
  munmap(at, kPage);
  return close(fd);
}

bool holds(int fd, off_t at, uint64_t wanted) {
  uint64_t got = 0;
  return pread(fd, &got, sizeof got, at) == sizeof got && got == wanted;
}
bool put(int fd, off_t at, uint64_t value) { return pwrite(fd, &value, sizeof value, at) == sizeof value; }

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (strcmp(argv[1], "once") == 0) return write_once(argv[2]);
  const std::string dir = argv[1];
  const int mapped = open_new(dir + "/mapped"), growing = open_new(dir + "/growing"), gone = open_new(dir + "/gone");
  if (mapped < 0 || growing < 0 || gone < 0 || unlink((dir + "/gone").c_str()) != 0) return 1;
  if (ftruncate(mapped, kPages * kPage) != 0) return 1;
  char* memory = map(mapped, kPages * kPage);
  if (!memory) return 1;
  static uint64_t in_mapping[kPages], in_gone[kPages];
  uint64_t grown = 0;
  unsigned bad = 0;
  for (unsigned rounds = 0;; ++rounds) {
    report(argv[2], rounds, bad);
    for (int i = 0; i < 100; ++i) {
      const size_t page = static_cast<size_t>(random()) % kPages;
      auto* number = reinterpret_cast<volatile uint64_t*>(memory + page * kPage);
      const auto at = static_cast<off_t>(page * kPage);
      bad += *number != in_mapping[page] || !holds(mapped, at, in_mapping[page]);
      *number = ++in_mapping[page];
      bad += in_gone[page] != 0 && !holds(gone, at, in_gone[page]);
      bad += !put(gone, at, ++in_gone[page]);
      bad += grown != 0 && !holds(growing, static_cast<off_t>(static_cast<uint64_t>(random()) % grown * 8), 7);
      bad += !put(growing, static_cast<off_t>(grown++ * 8), 7);
      const timespec pause{0, 1'000'000};
      nanosleep(&pause, nullptr);
    }
  }
}
