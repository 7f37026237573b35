#include "migrate/watchdog.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "base/log.h"

namespace vz::migrate {

namespace {

using namespace std::chrono_literals;
constexpr int kLifted = 3;  // what is kept open: the caller's pidfd and the pipe

// Not the caller's session, terminal and descriptors: its ssh would stay connected, a script that reads its output
// would wait.
void detach() {
  ::setsid();
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) ::signal(s, SIG_IGN);
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
}

[[noreturn]] void watch(int caller, int pipe, const std::function<Result<void>()>& rescue) {
  ::dup2(caller, kLifted);
  ::dup2(pipe, kLifted + 1);
  ::close_range(kLifted + 2, ~0u, 0);
  detach();
  pollfd p[2] = {{kLifted, POLLIN, 0}, {kLifted + 1, POLLIN, 0}};
  while (!p[0].revents) {
    (void)::poll(p, 2, -1);
    char byte = 0;
    if (p[1].revents && ::read(kLifted + 1, &byte, 1) == 1) ::_exit(0);  // disarmed, also by one that is dead by now
    if (p[1].revents) p[1].fd = -1;
  }
  for (auto pause = 1s;; pause = std::min(pause + 1s, std::chrono::seconds(30))) {
    const auto done = rescue();
    if (done) ::_exit(0);
    log::warn("{}", done.error().text);
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace

Result<void> Watchdog::arm(std::function<Result<void>()> rescue) {
  // Lifted out of the way of the numbers that watch() uses.
  auto lifted = [](int fd) { return sys::UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, kLifted + 2)); };
  TRY_AS(sys::UniqueFd self, sys::open_pidfd(::getpid()));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  sys::UniqueFd read_end(ends[0]);
  pipe_.reset(ends[1]);
  const sys::UniqueFd caller = lifted(self.get()), pipe = lifted(read_end.get());
  if (!caller || !pipe) return fail_sys(errno, "dup");
  TRY_AS(child_, sys::fork_process());
  if (child_.pid == 0) watch(caller.get(), pipe.get(), rescue);
  return {};
}

void Watchdog::disarm() {
  if (child_.pid <= 0) return;
  (void)!::write(pipe_.get(), "", 1);
  (void)sys::wait_child(std::exchange(child_.pid, -1));
}

void Watchdog::leave_to_it() { child_.pid = -1; }

}  // namespace vz::migrate
