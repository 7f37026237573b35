#include "checkpoint/shared_memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/catch.h"

using namespace vz;
using namespace vz::checkpoint;

TEST_CASE("shared memory: what has no file, as the kernel and as criu made it") {
  const auto found = shared_segments(
      "7f6272546000-7f6273546000 rw-s 00000000 00:01 148506                     /dev/zero (deleted)\n"
      "7f6274546000-7f6274547000 r--s 00001000 00:01 148506                     /dev/zero (deleted)\n"
      "7f6275546000-7f6275548000 rw-s 00000000 00:01 148516                     /memfd:/dev/zero (deleted)\n"
      "7f6276546000-7f6276548000 rw-s 00000000 00:01 148517                     /memfd:sealed (deleted)\n"
      "7f6277546000-7f6277548000 rw-s 00000000 08:01 5                          /var/lib/x\n"
      "7f6278546000-7f6278548000 rw-p 00000000 00:01 6                          /dev/zero (deleted)\n",
      42);
  REQUIRE(found.size() == 3);
  CHECK(found[0] == SharedSegment{148506, "/proc/42/map_files/7f6272546000-7f6273546000", 0x1000000});
  CHECK(found[1].id == 148506);
  CHECK(found[2] == SharedSegment{148516, "/proc/42/map_files/7f6275546000-7f6275548000", 0x2000});
}

TEST_CASE("shared memory: of our own, once, and only the pages that are filled") {
  constexpr size_t kSize = 16 * kPage;
  auto* at = static_cast<char*>(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  REQUIRE(at != MAP_FAILED);
  at[3 * kPage] = at[4 * kPage] = at[15 * kPage] = 1;
  const auto pid = static_cast<pid_t>(::getpid());
  size_t seen = 0;
  for (const SharedSegment& s : shared_segments({{1, pid}, {2, pid}, {3, 0}})) {
    const sys::UniqueFd fd(::open(s.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (s.size != kSize || !fd) continue;
    ++seen;
    CHECK(filled_pages(fd.get()).value_or(Ranges{}) == Ranges{{3 * kPage, 2}, {15 * kPage, 1}});
  }
  CHECK(seen == (::getuid() == 0 ? 1 : 0));  // map_files needs privilege
  ::munmap(at, kSize);
}
