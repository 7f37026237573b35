// probe-shared MIB FILE: two processes share so much memory without a file. One counts up, for ever, in pages that it
// picks at random and in memory of its own, and checks that both agree; now and then it fills a page that was empty.
// FILE has "ROUNDS BAD".
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "tests/probe/report.h"

namespace {

constexpr size_t kPage = 512;  // numbers in one

}  // namespace

int main(int argc, char** argv) {
  const size_t pages = argc == 3 ? strtoul(argv[1], nullptr, 10) * 256 : 0;
  if (pages == 0) return 2;
  void* at = mmap(nullptr, pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* own = static_cast<uint64_t*>(calloc(pages, sizeof(uint64_t)));
  if (at == MAP_FAILED || !own) return 1;
  auto* shared = static_cast<volatile uint64_t*>(at);
  // One page of 16 stays empty at first.
  for (size_t p = 0; p < pages; ++p)
    for (size_t i = 0; p % 16 != 15 && i < kPage; ++i)
      shared[p * kPage + i] = i == 0 ? (own[p] = p) : p * 0x9e3779b9u + i;
  if (fork() == 0)
    for (;;) pause();
  size_t bad = 0, empty = 15;
  for (unsigned rounds = 0;; ++rounds) {
    report(argv[2], rounds, bad);
    for (int step = 0; step < 20; ++step) {
      for (int i = 0; i < 100; ++i) {
        const size_t p = static_cast<size_t>(random()) % pages;
        if (p % 16 != 15) shared[p * kPage] = ++own[p];
      }
      if (empty < pages) shared[empty * kPage] = ++own[empty];
      empty += 16;
      for (size_t p = static_cast<size_t>(step); p < pages; p += 20) {
        bad += shared[p * kPage] != own[p];
        bad += p % 16 != 15 && shared[p * kPage + p % 511 + 1] != p * 0x9e3779b9u + p % 511 + 1;
      }
      const timespec nap{0, 20'000'000};
      nanosleep(&nap, nullptr);
    }
  }
}
