#include "checkpoint/early_pages.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <map>
#include <thread>
#include <utility>

#include "sys/files.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::checkpoint;

namespace {

constexpr size_t kPages = 4096;

struct Buffer {
  char* at;
  explicit Buffer(size_t pages, int flags = MAP_PRIVATE)
      : at(static_cast<char*>(::mmap(nullptr, pages * kPage, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0))),
        size(pages * kPage) {
    REQUIRE(at != MAP_FAILED);
  }
  ~Buffer() { ::munmap(at, size); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  uint64_t address(size_t page) const { return reinterpret_cast<uint64_t>(at) + page * kPage; }
  Range range(size_t page, size_t count) const { return {address(page), count}; }
  size_t size;
};

// A child that does what it is told, a letter at a time.
class Puppet {
 public:
  explicit Puppet(const std::function<void(char)>& act) {
    REQUIRE(::pipe(to_) == 0);
    REQUIRE(::pipe(from_) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    ::close(std::exchange(pid_ ? to_[0] : to_[1], -1));
    ::close(std::exchange(pid_ ? from_[1] : from_[0], -1));
    if (pid_ != 0) return;
    for (char c; ::read(to_[0], &c, 1) == 1;) {
      act(c);
      if (::write(from_[1], &c, 1) != 1) break;
    }
    ::_exit(0);
  }
  ~Puppet() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    for (const int fd : {to_[0], to_[1], from_[0], from_[1]}) ::close(fd);
  }
  void tell(char c) const {
    REQUIRE(::write(to_[1], &c, 1) == 1);
    REQUIRE(::read(from_[0], &c, 1) == 1);
  }
  pid_t pid() const { return pid_; }

 private:
  int to_[2], from_[2];
  pid_t pid_ = 0;
};

// What a store would have, page by page; it says so at each mark.
class Receiver {
 public:
  Receiver() {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    source_.reset(ends[0]);
    own_.reset(ends[1]);
    worker_ = std::thread([this] {
      Piece p;
      while (::recv(own_.get(), &p, sizeof p, MSG_WAITALL) == sizeof p) {
        std::string pages(p.bytes, 0);
        if (p.pages && ::recv(own_.get(), pages.data(), pages.size(), MSG_WAITALL) < 0) return;
        if (p.bytes < p.pages * kPage) pages = unpack(pages, p.pages * kPage).value_or("");
        for (uint64_t i = 0; i < p.pages; ++i) pages_[p.address + i * kPage] = pages.substr(i * kPage, kPage);
        if (p.pages == 0) (void)sys::write_all(own_.get(), {reinterpret_cast<const char*>(&p), sizeof p});
      }
    });
  }
  ~Receiver() {
    source_.reset();
    worker_.join();
  }
  int socket() const { return source_.get(); }
  const std::map<uint64_t, std::string>& pages() const { return pages_; }

 private:
  sys::UniqueFd source_, own_;
  std::map<uint64_t, std::string> pages_;
  std::thread worker_;
};

void ignore(size_t, size_t) {}

bool cannot() {
  const std::string why = cannot_track_writes();
  if (!why.empty()) WARN("skipped: " << why);
  return !why.empty();
}

bool overlaps(const Ranges& ranges, const Range& with) { return !intersect(ranges, {with}).empty(); }

// What of BUFFER, as PID has it, is neither at the receiver as it is nor due.
size_t stale(pid_t pid, const Buffer& buffer, const Receiver& there, const Ranges& due) {
  size_t bad = 0;
  const Tasks tasks = {{1, pid}};
  Memory memory(tasks);
  for (const Range& r : subtract(intersect(*lazy_memory(pid), {buffer.range(0, buffer.size / kPage)}), due))
    for (uint64_t at = r.address; at < r.end(); at += kPage) {
      std::string page(kPage, 0);
      REQUIRE(memory.read(1, at, page.data(), kPage));
      const auto it = there.pages().find(at);
      bad += it == there.pages().end() || it->second != page;
    }
  return bad;
}

}  // namespace

TEST_CASE("early pages: what is written after a round is due, nothing else") {
  if (cannot()) return;
  const Buffer buffer(kPages);
  const Puppet puppet([&](char c) {
    if (c == 'a') std::memset(buffer.at, 'a', buffer.size);
    if (c == 'b') std::memset(buffer.at + 100 * kPage, 'b', 50 * kPage);
    if (c == 'c') buffer.at[3000 * kPage] = 'c';
  });
  puppet.tell('a');
  Receiver there;
  EarlyPages early;
  const Tasks tasks = {{1, puppet.pid()}};
  uint64_t spent = 0;
  const auto first = early.send_round(tasks, there.socket(), [&](size_t bytes, size_t) { spent += bytes; });
  REQUIRE(first);
  CHECK(*first >= buffer.size);
  CHECK(spent == *first);
  puppet.tell('b');
  const auto second = early.send_round(tasks, there.socket(), ignore);
  REQUIRE(second);
  CHECK(*second >= 50 * kPage);
  CHECK(*second < buffer.size / 2);
  puppet.tell('c');
  const auto rest = early.rest(tasks);
  REQUIRE(rest);
  const Ranges due = rest->at(1);
  CHECK(overlaps(due, buffer.range(3000, 1)));
  CHECK_FALSE(overlaps(due, buffer.range(0, 2000)));
  CHECK(stale(puppet.pid(), buffer, there, due) == 0);
}

TEST_CASE("early pages: memory that was unmapped, moved, dropped or mapped anew is due") {
  if (cannot()) return;
  const Buffer a(kPages), gap(4), b(kPages);
  const size_t half = a.size / 2;
  const Puppet puppet([&](char c) {
    if (c == 'i') std::memset(a.at, 'a', a.size), std::memset(b.at, 'b', b.size);
    if (c == 'm') {
      ::mremap(b.at, half, half, MREMAP_MAYMOVE | MREMAP_FIXED, a.at);
      ::mmap(b.at, half, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    }
    if (c == 'd') ::madvise(a.at, a.size, MADV_DONTNEED), a.at[7 * kPage] = 'd';
    if (c == 'n') {
      ::mmap(a.at, a.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
      std::memset(a.at, 'n', half);
    }
  });
  puppet.tell('i');
  Receiver there;
  EarlyPages early;
  const Tasks tasks = {{1, puppet.pid()}};
  REQUIRE(early.send_round(tasks, there.socket(), ignore));
  for (const char* acts : {"m", "d", "n", "mn", "nm"}) {
    for (const char* c = acts; *c; ++c) puppet.tell(*c);
    const auto rest = early.rest(tasks);
    REQUIRE(rest);
    CHECK(stale(puppet.pid(), a, there, rest->at(1)) == 0);
    // With a round in between it is watched where it is now.
    puppet.tell('i');
    for (const char* c = acts; *c; ++c) puppet.tell(*c);
    REQUIRE(early.send_round(tasks, there.socket(), ignore));
    const auto less = early.rest(tasks);
    REQUIRE(less);
    CHECK(stale(puppet.pid(), a, there, less->at(1)) == 0);
    CHECK(stale(puppet.pid(), b, there, less->at(1)) == 0);
  }
}

TEST_CASE("early pages: a forked child owes all of its memory, and so does a process that took another's place") {
  if (cannot()) return;
  const Buffer buffer(kPages);
  const Buffer shared(1, MAP_SHARED);
  const Puppet puppet([&](char c) {
    if (c == 'a') std::memset(buffer.at, 'a', buffer.size);
    if (c == 'f') {
      const pid_t child = ::fork();
      while (child == 0) ::pause();
      std::memcpy(shared.at, &child, sizeof child);
    }
  });
  puppet.tell('a');
  Receiver there;
  EarlyPages early;
  REQUIRE(early.send_round({{1, puppet.pid()}}, there.socket(), ignore));
  puppet.tell('f');
  pid_t child = 0;
  std::memcpy(&child, shared.at, sizeof child);
  const auto of_child = early.rest({{1, puppet.pid()}, {2, child}});
  const auto in_its_place = early.rest({{1, child}});
  ::kill(child, SIGKILL);
  REQUIRE(of_child);
  CHECK(overlaps(of_child->at(2), buffer.range(0, 1)));
  CHECK(size_of(of_child->at(2)) >= buffer.size);
  CHECK(size_of(of_child->at(1)) < buffer.size / 2);
  REQUIRE(in_its_place);
  CHECK(size_of(in_its_place->at(1)) >= buffer.size);
}

TEST_CASE("early pages: a process that sleeps in a system call goes on sleeping") {
  if (cannot()) return;
  const Buffer buffer(kPages);
  const Puppet puppet([&](char c) {
    std::memset(buffer.at, c, buffer.size);
    timespec pause{0, 300'000'000};
    if (c == 's' && ::nanosleep(&pause, nullptr) != 0) ::_exit(1);
  });
  puppet.tell('a');
  std::thread sleeper([&] { puppet.tell('s'); });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  Receiver there;
  EarlyPages early;
  const auto sent = early.send_round({{1, puppet.pid()}}, there.socket(), ignore);
  sleeper.join();
  CHECK(sent);
  CHECK(::kill(puppet.pid(), 0) == 0);
}
