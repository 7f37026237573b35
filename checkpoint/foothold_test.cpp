#include "checkpoint/foothold.h"

#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "base/strings.h"
#include "sys/files.h"
#include "sys/process.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::checkpoint;
using namespace std::chrono_literals;

namespace {

constexpr uint64_t kShared = 0x10000000;
constexpr size_t kSize = 8192;

volatile sig_atomic_t signals = 0;
void count(int) { signals = signals + 1; }

// A shared mapping of code below everything else, then WORK.
sys::Forked start(int (*work)()) {
  auto child = sys::fork_process();
  REQUIRE(child);
  if (child->pid != 0) return std::move(*child);
  ::signal(SIGUSR1, count);
  void* at = ::mmap(reinterpret_cast<void*>(kShared), kSize, PROT_READ | PROT_EXEC,
                    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  ::_exit(at == MAP_FAILED ? 99 : work());
}

std::string maps_of(pid_t pid) { return sys::read_file(fmt::format("/proc/{}/maps", pid)).value_or(""); }

std::optional<uint64_t> wait_for_place(pid_t pid) {
  for (int i = 0; i < 200; ++i) {
    if (const auto place = foothold_place(maps_of(pid))) return place;
    std::this_thread::sleep_for(10ms);
  }
  return std::nullopt;
}

int sleep_once() {
  const timespec time{0, 400'000'000};
  return ::nanosleep(&time, nullptr) == 0 ? 0 : 1;
}
int sleep_in_poll() { return ::poll(nullptr, 0, 400) == 0 ? 0 : 1; }
int read_a_pipe() {
  int ends[2];
  if (::pipe(ends) != 0) return 2;
  if (::fork() == 0) {
    ::usleep(400'000);
    ::_exit(::write(ends[1], "x", 1) == 1 ? 0 : 1);
  }
  char c = 0;
  return ::read(ends[0], &c, 1) == 1 && c == 'x' ? 0 : 1;
}
int compute() {
  timespec begin{}, now{};
  ::clock_gettime(CLOCK_MONOTONIC, &begin);
  double sum = 0, again = 0;
  for (int i = 0; i < 1000; ++i) sum += 1.0 / (i + 1);
  do {
    again = 0;
    for (int i = 0; i < 1000; ++i) again += 1.0 / (i + 1);
    if (std::memcmp(&again, &sum, sizeof sum) != 0) return 1;
    ::clock_gettime(CLOCK_MONOTONIC, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1'000'000 < 400);
  return 0;
}
int take_a_signal() {
  for (int i = 0; i < 40; ++i) ::usleep(10'000);
  return signals == 1 ? 0 : 1;
}

bool stops(pid_t pid) {
  for (int i = 0; i < 200; ++i) {
    if (sys::read_file(fmt::format("/proc/{}/stat", pid)).value_or("").find(") T ") != std::string::npos) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

}  // namespace

TEST_CASE("a foothold is needed where criu's first choice is code that is shared") {
  const std::string php =
      "55d2a0000000-55d2a8000000 rw-s 00000000 00:01 7  /dev/zero (deleted)\n"
      "55d2a8000000-55d2ac000000 r-xs 08000000 00:01 7  /dev/zero (deleted)\n"
      "55d2ac7ae000-55d2acb10000 r-xp 000e3000 07:00 8  /usr/sbin/php-fpm8.4\n";
  CHECK(foothold_place(php) == 65536);
  CHECK_FALSE(foothold_place("00400000-00401000 r-xp 00000000 07:00 8 /bin/x\n" + php));
  CHECK_FALSE(foothold_place("00400000-00401000 rwxs 00000000 07:00 8 /bin/x\n" + php));
  CHECK(foothold_place("00010000-00012000 rw-p 00000000 00:00 0\n" + php) == 0x12000);
  CHECK(foothold_place("00010800-00012000 rw-p 00000000 00:00 0\n" + php) == 0x12000);
  CHECK_FALSE(foothold_place("00010000-00012000 r-xs 00000000 00:00 0\n"));  // no room
  CHECK_FALSE(foothold_place(""));
  CHECK_FALSE(foothold_place("x-y r-xs 0 0 0\n1-2-3 r-xs 0 0 0\nff\n"));
}

TEST_CASE("live: a process gets a page and does not notice") {
#ifndef __x86_64__
  return;
#endif
  int (*work)() = nullptr;
  bool disturb = false;
  SECTION("asleep") { work = sleep_once; }
  SECTION("in poll") { work = sleep_in_poll; }
  SECTION("reading") { work = read_a_pipe; }
  SECTION("computing") { work = compute; }
  SECTION("signalled meanwhile") {
    work = take_a_signal;
    disturb = true;
  }
  const sys::Forked child = start(work);
  const auto place = wait_for_place(child.pid);
  REQUIRE(place);
  if (disturb) (void)sys::send_signal(child.pidfd.get(), SIGUSR1);
  give_footholds({child.pid});
  CHECK_FALSE(foothold_place(maps_of(child.pid)));
  CHECK(maps_of(child.pid).find(fmt::format("{:08x}-{:08x} r-xp", *place, *place + 4096)) != std::string::npos);
  CHECK_FALSE(give_foothold(child.pid, *place));  // taken
  const auto status = sys::wait_child(child.pid);
  REQUIRE(status);
  CHECK(status->ok());
}

TEST_CASE("live: a process that is gone, or was stopped, gets none") {
#ifndef __x86_64__
  return;
#endif
  const sys::Forked child = start(sleep_in_poll);
  const auto place = wait_for_place(child.pid);
  REQUIRE(place);
  REQUIRE(sys::send_signal(child.pidfd.get(), SIGSTOP));
  REQUIRE(stops(child.pid));
  CHECK_FALSE(give_foothold(child.pid, *place));
  CHECK(stops(child.pid));
  REQUIRE(sys::send_signal(child.pidfd.get(), SIGCONT));
  const auto status = sys::wait_child(child.pid);
  REQUIRE(status);
  CHECK(status->ok());
  CHECK_FALSE(give_foothold(child.pid, *place));
}
