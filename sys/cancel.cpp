#include "sys/cancel.h"

#include <signal.h>

#include <cerrno>

namespace vz::sys {

namespace {
volatile sig_atomic_t caught = 0;
void on_signal(int signal) { caught = signal; }
}  // namespace

void catch_cancel_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;  // no SA_RESTART: poll(2) and waitpid(2) return EINTR
  for (const int sig : {SIGINT, SIGTERM, SIGHUP}) ::sigaction(sig, &action, nullptr);
}

bool is_cancelled() { return caught != 0; }

Result<void> check_cancelled() {
  if (!caught) return {};
  const int signal = caught;
  caught = 0;
  return Error{Code::cancelled, EINTR, fmt::format("Cancelled by signal {}", signal)};
}

}  // namespace vz::sys
