#include "migrate/beside.h"

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace vz::migrate {

namespace {
enum Step : int { kDone = 1 };
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
    const auto result = work(pair.child.fd());
    const auto told = result ? pair.child.post(kDone) : pair.child.post_error(result.error());
    ::_exit(told && result ? 0 : 1);
  }
  channel_.emplace(std::move(pair.parent));
  return {};
}

Result<void> Beside::finish() {
  ::shutdown(channel_->fd(), SHUT_WR);
  auto result = channel_->expect(kDone);
  (void)sys::wait_child(std::exchange(child_.pid, -1));
  if (!result) return std::move(result).error();
  return {};
}

}  // namespace vz::migrate
