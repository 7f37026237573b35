#include "migrate/beside.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace vz::migrate {

namespace {
enum Note : int { kDone = 1 };
}

Beside::~Beside() {
  if (child_.pid <= 0) return;
  (void)sys::send_signal(child_.pidfd.get(), SIGKILL);
  (void)sys::wait_child(child_.pid);
}

Result<void> Beside::begin(const std::function<Result<void>(int enough)>& work) {
  TRY_AS(sys::Channel::Pair pair, sys::Channel::make());
  TRY_AS(child_, sys::fork_process());
  if (child_.pid == 0) {
    pair.parent.close();
    if (!outlives_) ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a caller that was killed has no use for the work
    if (outlives_) ::setsid();
    const auto result = work(pair.child.fd());
    const auto told = result ? pair.child.post(kDone) : pair.child.post_error(result.error());
    ::_exit(told && result ? 0 : 1);
  }
  channel_.emplace(std::move(pair.parent));
  return {};
}

Result<void> Beside::finish(std::optional<std::chrono::steady_clock::time_point> deadline) {
  ::shutdown(channel_->fd(), SHUT_WR);
  if (deadline) {
    TRY_AS(const bool ended, sys::wait_ended(child_.pidfd.get(), sys::time_left(*deadline)));
    if (!ended) return fail(Code::timeout, "not done in time");
  }
  auto result = channel_->expect(kDone);
  (void)sys::wait_child(std::exchange(child_.pid, -1));
  if (!result) return std::move(result).error();
  return {};
}

}  // namespace vz::migrate
