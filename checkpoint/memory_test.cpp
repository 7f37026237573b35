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

void close_criu(int criu) {
  const Question close{.command = 0x1024};
  REQUIRE(sys::write_all(criu, {reinterpret_cast<const char*>(&close), sizeof close}));
  int32_t status = -1;
  CHECK(::recv(criu, &status, sizeof status, MSG_WAITALL) == sizeof status);
  CHECK(status == 0);
}

Result<void> no_matter() { return {}; }

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
  CHECK(found == Ranges{{0x3a618000, 0x22}, {0x7f0000000000, 2}, {0x7ffed000f000, 0x21}});
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

TEST_CASE("memory: criu gets each page, whatever the order it asks in, and again for a child") {
  const Pages pages;
  const Still still;  // before there are sockets: it would keep their ends open
  SocketPair channel;
  const SocketPair criu;
  const Tasks tasks = {{7, still.pid}};
  Result<void> sent, stored;
  bool whole = false;
  PackingChoice choice;
  std::thread source([&] { sent = send_memory(channel.a.get(), tasks, *all_memory(tasks), choice); });
  std::thread store([&] {
    stored = store_pages(channel.b.get(), criu.a.get(), "4.2.1", [&]() -> Result<void> {
      whole = true;
      return {};
    });
  });
  for (const size_t page : {250u, 0u, 299u, 31u, 99u, 250u}) {
    const std::string got = fetch(criu.b.get(), {.pages = 1, .address = pages.address(page), .task = 7});
    CHECK(got == std::string(kPage, static_cast<char>(page % 251 + 1)));
  }
  size_t right = 0;
  for (size_t page = 101; page < 250;) {
    const std::string got = fetch(criu.b.get(), {.pages = 250 - page, .address = pages.address(page), .task = 7});
    for (size_t i = 0; i < got.size(); i += kPage, ++page) right += got[i] == static_cast<char>(page % 251 + 1);
  }
  CHECK(right == 149);
  source.join();
  CHECK(sent);
  channel.a.reset();  // it is needed no more
  CHECK(fetch(criu.b.get(), {.pages = 1, .address = pages.address(31), .task = 7})[0] == 32);
  close_criu(criu.b.get());
  store.join();
  CHECK(stored);
  CHECK(whole);
}

TEST_CASE("memory: what comes later is newer, wherever it begins and ends") {
  SocketPair channel;
  const SocketPair criu;
  Result<void> stored;
  std::thread store([&] { stored = store_pages(channel.b.get(), criu.a.get(), "4.2.1", no_matter); });
  auto send = [&](uint64_t first, uint64_t count, char what) {
    std::string bytes(count * kPage, what);
    if (what == 'b' || what == 'd') bytes = Packer().pack(bytes);
    const Piece piece{7, first * kPage, count, bytes.size()};
    REQUIRE(sys::write_all(channel.a.get(), {reinterpret_cast<const char*>(&piece), sizeof piece}));
    REQUIRE(sys::write_all(channel.a.get(), bytes));
  };
  send(10, 20, 'a');
  send(15, 2, 'b');
  send(5, 6, 'c');
  send(28, 5, 'd');
  send(20, 4, 'e');
  const Piece all{kWhole, 0, 0, 0};
  REQUIRE(sys::write_all(channel.a.get(), {reinterpret_cast<const char*>(&all), sizeof all}));
  std::string got;
  for (uint64_t page = 5; page < 33;) {
    const std::string some = fetch(criu.b.get(), {.pages = 33 - page, .address = page * kPage, .task = 7});
    for (size_t i = 0; i < some.size(); i += kPage, ++page) got += some[i];
  }
  CHECK(got == "ccccccaaaabbaaaeeeeaaaaddddd");
  close_criu(criu.b.get());
  store.join();
  CHECK(stored);
}

TEST_CASE("memory: a source that hangs up, one that sends nonsense, and one that leaves something out are errors") {
  const SocketPair criu;
  SocketPair channel;
  auto send = [&](const Piece& piece) {
    REQUIRE(sys::write_all(channel.a.get(), {reinterpret_cast<const char*>(&piece), sizeof piece}));
  };
  SECTION("gone") {}
  SECTION("a piece larger than any") { send({7, 0x1000, 1u << 30, 0}); }
  SECTION("more than its pages") { send({7, 0x1000, 1, kPage + 1}); }
  SECTION("packed, of another size") {
    const std::string packed = Packer().pack(std::string(2 * kPage, 'x'));
    send({7, 0x1000, 1, packed.size()});
    REQUIRE(sys::write_all(channel.a.get(), packed));
  }
  SECTION("incomplete") {
    send({kWhole, 0, 0, 0});
    const Question q{.pages = 1, .address = 0x1000, .task = 7};
    REQUIRE(sys::write_all(criu.b.get(), {reinterpret_cast<const char*>(&q), sizeof q}));
  }
  ::shutdown(channel.a.get(), SHUT_WR);
  const auto stored = store_pages(channel.b.get(), criu.a.get(), "4.2.1", no_matter);
  REQUIRE_FALSE(stored);
  CHECK(stored.error().code == Code::peer);
}
