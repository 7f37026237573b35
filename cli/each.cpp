#include "cli/each.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/cancel.h"
#include "sys/process.h"

namespace vz::cli {

namespace {

struct Child {
  Outcome* outcome;
  sys::Forked process;
};

Result<Child> begin(Outcome& outcome, const std::function<int(config::CtId)>& work) {
  TRY_AS(sys::Forked process, sys::fork_process());
  if (process.pid == 0) {
    ::setsid();  // Ctrl-C comes from us, and once: a second one would cancel the undoing as well
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::_exit(work(outcome.id));
  }
  return Child{&outcome, std::move(process)};
}

// Until one of them ends, or a signal has come.
Result<void> wait_for_one(const std::vector<Child>& children) {
  std::vector<pollfd> p;
  for (const Child& c : children) p.push_back({c.process.pidfd.get(), POLLIN, 0});
  if (::poll(p.data(), p.size(), -1) < 0 && errno != EINTR) return fail_sys(errno, "poll");
  return {};
}

Result<void> collect(std::vector<Child>& children) {
  for (auto it = children.begin(); it != children.end();) {
    TRY_AS(const bool ended, sys::wait_ended(it->process.pidfd.get(), std::chrono::milliseconds(0)));
    if (!ended) {
      ++it;
      continue;
    }
    TRY_AS(const sys::ExitStatus status, sys::wait_child(it->process.pid));
    it->outcome->status = status.signal ? 128 + status.signal : status.code;
    it = children.erase(it);
  }
  return {};
}

}  // namespace

Result<std::vector<Outcome>> for_each(const Batches& batches, size_t parallel,
                                      const std::function<int(config::CtId)>& work) {
  std::vector<Outcome> outcomes;
  for (size_t batch = 0; batch < batches.size(); ++batch)
    for (const config::CtId id : batches[batch]) outcomes.push_back({id, batch, kNotBegun});
  std::vector<Child> children;
  const auto has_turn = [&](const Outcome& o) { return children.empty() || children[0].outcome->batch == o.batch; };
  for (size_t next = 0; next < outcomes.size() || !children.empty();) {
    while (next < outcomes.size() && children.size() < parallel && has_turn(outcomes[next])) {
      TRY_AS(Child child, begin(outcomes[next++], work));
      children.push_back(std::move(child));
    }
    TRY(wait_for_one(children));
    TRY(collect(children));
    if (sys::check_cancelled()) continue;
    next = outcomes.size();
    for (const Child& c : children) (void)sys::send_signal(c.process.pidfd.get(), SIGTERM);
  }
  return outcomes;
}

}  // namespace vz::cli
