#include "runtime/stop.h"

#include <signal.h>
#include <stdio.h>

#include <cerrno>

#include "base/log.h"
#include "runtime/cleanup.h"
#include "runtime/convert.h"
#include "runtime/exec.h"
#include "runtime/scripts.h"
#include "runtime/wait.h"
#include "sys/files.h"

namespace vz::runtime {

using namespace std::chrono_literals;

std::chrono::seconds stop_timeout(const Host& host, const Container& ct) {
  const uint64_t own = ct.spec.stop_timeout.value_or(0);
  return std::chrono::seconds(own ? own : host.conf.stop_timeout);
}

namespace {

// An init that has just been started does not listen yet: a signal now would be lost.
int poweroff_signal_soon(pid_t init, int pidfd) {
  int signal = poweroff_signal(init);
  for (int tries = 0; !signal && tries < 50 && !sys::wait_ended(pidfd, 20ms).value_or(true); ++tries)
    signal = poweroff_signal(init);
  return signal;
}

void ask_to_stop(const Host& host, const Container& ct, pid_t init, int pidfd) {
  if (const int signal = poweroff_signal_soon(init, pidfd)) {
    (void)sys::send_signal(pidfd, signal);
    return;
  }
  for (const char* program : {"poweroff", "halt"}) {
    const auto asked = capture_inside(host, ct, {program}, 10s);
    if (asked && asked->status.ok()) return;
  }
}

Result<void> kill_all(const Container& ct, int pidfd) {
  TRY_AS(cgroups::Group group, group_of(ct));
  TRY(group.kill(10s), "kill");
  TRY_AS(bool ended, sys::wait_ended(pidfd, 10s));
  if (!ended) return fail(Code::stop_failed, "Unable to stop container: operation timed out");
  return {};
}

}  // namespace

Result<void> stop(const Host& host, const Container& ct, const StopOptions& options) {
  const auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "Unable to stop: container is not running");
  log::info("Stopping container ...");
  auto pidfd = sys::open_pidfd(running->init);
  if (pidfd && sys::start_time(running->init) == running->init_start) {
    bool ended = false;
    if (!options.fast) {
      TRY_AS(cgroups::Group group, group_of(ct));
      if (group.frozen().value_or(false)) TRY(group.thaw());
      if (options.scripts) TRY(run_scripts(host, ct, Event::stop));
      ask_to_stop(host, ct, running->init, pidfd->get());
      TRY_AS(ended, sys::wait_ended(pidfd->get(), stop_timeout(host, ct)));
      if (!ended) log::info("Killing container ...");
    }
    if (!ended) TRY(kill_all(ct, pidfd->get()));
  }
  log::info("Container was stopped");
  const bool mounted = storage::is_mounted(ct.area);
  auto cleaned = clean_up(host, ct, options.skip_umount ? Leave::mounted : Leave::nothing,
                          options.scripts ? Scripts::run : Scripts::skip);
  if (mounted && !storage::is_mounted(ct.area)) log::info("Container is unmounted");
  return cleaned;
}

Result<void> destroy(const Host& host, const Container& ct) {
  if (state::running(host.paths, ct.id)) return fail(Code::running, "Container is currently running. Stop it first.");
  if (storage::is_mounted(ct.area)) return fail(Code::mounted, "Container is currently mounted (umount first)");
  TRY(clean_up(host, ct, Leave::nothing));
  log::info("Destroying container private area: {}", ct.area.private_dir);
  auto gone = storage::destroy(ct.area);
  if (!gone && gone.error().code != Code::no_private) return gone;
  for (const char* suffix : {"", ".tmp", ".fail"}) TRY(sys::remove_tree(ct.dump_dir(host) + suffix));
  TRY(sys::remove_dir(ct.area.root_dir));
  TRY(remove_half_converted(ct));
  TRY(state::unmark(host.paths, ct.id));
  if (ct.spec.name) TRY(state::assign_name(host.paths, ct.id, "", *ct.spec.name));
  TRY(put_away_scripts(host, ct.id, ".destroyed"));
  const std::string conf = host.paths.conf(ct.id);
  if (::rename(conf.c_str(), (conf + ".destroyed").c_str()) != 0 && errno != ENOENT)
    return fail_sys(errno, "rename '{}'", conf);
  log::info("Container private area was destroyed");
  return {};
}

}  // namespace vz::runtime
