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

[[noreturn]] void watch(int caller, int pipe, const std::function<Result<void>()>& rescue) {
  sys::detach({caller, pipe});
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) ::signal(s, SIG_IGN);
  pollfd p[2] = {{caller, POLLIN, 0}, {pipe, POLLIN, 0}};
  while (!p[0].revents) {
    (void)::poll(p, 2, -1);
    char byte = 0;
    if (p[1].revents && ::read(pipe, &byte, 1) == 1) ::_exit(0);  // disarmed, also by one that is dead by now
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
  TRY_AS(const sys::UniqueFd self, sys::open_pidfd(::getpid()));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  const sys::UniqueFd read_end(ends[0]);
  pipe_.reset(ends[1]);
  TRY_AS(child_, sys::fork_process());
  if (child_.pid == 0) watch(self.get(), read_end.get(), rescue);
  return {};
}

void Watchdog::disarm() {
  if (child_.pid <= 0) return;
  (void)!::write(pipe_.get(), "", 1);
  (void)sys::wait_child(std::exchange(child_.pid, -1));
}

void Watchdog::leave_to_it() { child_.pid = -1; }

}  // namespace vz::migrate
