#include "checkpoint/memory.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "checkpoint/page_source.h"
#include "checkpoint/page_store.h"
#include "sys/files.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::checkpoint;

namespace {

struct SocketPair {
  sys::UniqueFd a, b;
  SocketPair() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    a.reset(ends[0]);
    b.reset(ends[1]);
  }
};

// criu's side of its page server protocol, as of 4.2.
struct Question {
  uint32_t command = 7, unused = 0;
  uint64_t pages = 0, address = 0, task = 0;
};

std::string fetch(int criu, const Question& q) {
  REQUIRE(sys::write_all(criu, {reinterpret_cast<const char*>(&q), sizeof q}));
  Question a;
  REQUIRE(::recv(criu, &a, sizeof a, MSG_WAITALL) == sizeof a);
  CHECK(a.task == q.task);
  CHECK(a.address == q.address);
  CHECK((a.command & 0xffff) == 6);
  REQUIRE(a.pages >= 1);
  REQUIRE(a.pages <= q.pages);
  std::string out(a.pages * kPage, 0);
  REQUIRE(::recv(criu, out.data(), out.size(), MSG_WAITALL) == static_cast<ssize_t>(out.size()));
  return out;
}

// 300 pages with a hole, each page full of its number.
struct Pages {
  static constexpr size_t kCount = 300;
  char* at;
  Pages()
      : at(static_cast<char*>(
            ::mmap(nullptr, kCount * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    REQUIRE(at != MAP_FAILED);
    for (size_t i = 0; i < kCount; ++i)
      if (i != 100) std::memset(at + i * kPage, static_cast<int>(i % 251 + 1), kPage);
  }
  ~Pages() { ::munmap(at, kCount * kPage); }
  uint64_t address(size_t page) const { return reinterpret_cast<uint64_t>(at) + page * kPage; }
};

// A process that stands still, with our memory.
struct Still {
  pid_t pid;
  Still() : pid(::fork()) {
    REQUIRE(pid >= 0);
    while (pid == 0) ::pause();
  }
  ~Still() {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
};

}  // namespace

TEST_CASE("memory: what may come later is private and anonymous") {
  const auto found = lazy_mappings(
      "00400000-00401000 r-xp 00000000 fe:00 77 /usr/bin/x\n"
      "3a618000-3a63a000 rw-p 00000000 00:00 0 [heap]\n"
      "7f0000000000-7f0000002000 rw-p 00000000 00:00 0\n"
      "7f0000002000-7f0000003000 rw-s 00000000 00:01 12 /dev/zero (deleted)\n"
      "7ffed000f000-7ffed0030000 rw-p 00000000 00:00 0 [stack]\n"
      "7ffed01f0000-7ffed01f4000 r--p 00000000 00:00 0 [vvar]\n"
      "7ffed01f4000-7ffed01f6000 r-xp 00000000 00:00 0 [vdso]\n"
      "nonsense\n7f-7e rw-p 0 00:00 0\n");
  CHECK(found == std::vector<Range>{{0x3a618000, 0x22}, {0x7f0000000000, 2}, {0x7ffed000f000, 0x21}});
}

TEST_CASE("memory: only pages with something in them are listed") {
  const Pages pages;
  const auto memory = lazy_memory(::getpid());
  REQUIRE(memory);
  auto listed = [&](size_t page) {
    for (const Range& r : *memory)
      if (r.address <= pages.address(page) && pages.address(page) < r.address + r.pages * kPage) return true;
    return false;
  };
  CHECK(listed(0));
  CHECK(listed(99));
  CHECK_FALSE(listed(100));
  CHECK(listed(101));
  CHECK(listed(Pages::kCount - 1));
}

TEST_CASE("memory: criu gets each page, whatever the order it asks in") {
  const Pages pages;
  const Still still;  // before there are sockets: it would keep their ends open
  SocketPair channel;
  const SocketPair criu;
  const Tasks tasks = {{7, still.pid}};
  Result<void> sent, stored;
  std::thread source([&] { sent = send_memory(channel.a.get(), tasks); });
  std::thread store([&] { stored = store_pages(channel.b.get(), criu.a.get(), "4.2.1"); });
  for (const size_t page : {250u, 0u, 299u, 31u, 99u}) {
    const std::string got = fetch(criu.b.get(), {.pages = 1, .address = pages.address(page), .task = 7});
    CHECK(got == std::string(kPage, static_cast<char>(page % 251 + 1)));
  }
  size_t right = 0;
  for (size_t page = 101; page < 250;) {
    const std::string got = fetch(criu.b.get(), {.pages = 250 - page, .address = pages.address(page), .task = 7});
    for (size_t i = 0; i < got.size(); i += kPage, ++page) right += got[i] == static_cast<char>(page % 251 + 1);
  }
  CHECK(right == 149);
  const Question close{.command = 0x1024};
  REQUIRE(sys::write_all(criu.b.get(), {reinterpret_cast<const char*>(&close), sizeof close}));
  int32_t status = -1;
  CHECK(::recv(criu.b.get(), &status, sizeof status, MSG_WAITALL) == sizeof status);
  CHECK(status == 0);
  source.join();
  channel.a.reset();
  store.join();
  CHECK(sent);
  CHECK(stored);
}

TEST_CASE("memory: a source that hangs up, and one that sends nonsense, are errors") {
  const SocketPair criu;
  SocketPair channel;
  SECTION("gone") {}
  SECTION("a piece larger than any") {
    const Piece piece{7, 0x1000, 1u << 30};
    REQUIRE(sys::write_all(channel.a.get(), {reinterpret_cast<const char*>(&piece), sizeof piece}));
  }
  channel.a.reset();
  const auto stored = store_pages(channel.b.get(), criu.a.get(), "4.2.1");
  REQUIRE_FALSE(stored);
  CHECK(stored.error().code == Code::peer);
}
