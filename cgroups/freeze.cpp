#include "cgroups/freeze.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/strings.h"
#include "cgroups/cgroups.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::cgroups {

namespace {

bool absent(const Result<void>& r) { return !r && r.error().sys_errno == ENOENT; }

// The CT's directory in the v1 freezer hierarchy; empty when there is none.
std::string v1_freezer(const Host& host, const std::string& name) {
  const Host::Controller* c = host.find("freezer");
  return c && !c->v1_mount.empty() ? group_path(c->v1_mount, name) : std::string();
}

Error no_freezer(const std::string& group) {
  return fail(Code::unsupported, "'{}' cannot be frozen: no cgroup.freeze (Linux 5.2) and no v1 freezer on this host",
              group);
}

std::string some(const std::vector<pid_t>& pids) {
  std::string out;
  for (size_t i = 0; i < pids.size() && i < 8; ++i) out += fmt::format("{}{}", i ? ", " : "", pids[i]);
  return pids.size() > 8 ? out + ", ..." : out;
}

// A PID that is still listed after its pidfd was opened belongs to that pidfd or, reused, to the group again; the
// pidfd then is of a dead process. So the signal can meet nobody else.
void signal_all(const Group& group) {
  const auto before = group.processes();
  if (!before) return;
  std::vector<std::pair<pid_t, sys::UniqueFd>> opened;
  for (const pid_t pid : *before)
    if (auto fd = sys::open_pidfd(pid)) opened.emplace_back(pid, std::move(*fd));
  const auto still = group.processes();
  if (!still) return;
  for (const auto& [pid, fd] : opened)
    if (std::binary_search(still->begin(), still->end(), pid)) (void)sys::send_signal(fd.get(), SIGKILL);
}

}  // namespace

Result<bool> v1_frozen(const std::string& group) {
  TRY_AS(const std::string state, read_value(group + "/freezer.state"));
  return state == "FROZEN";
}

Result<bool> v1_freeze(const std::string& group, Deadline deadline) {
  Backoff backoff(deadline);
  do {
    // Written each time: a process that was just being born needs another round.
    TRY(sys::write_file(group + "/freezer.state", "FROZEN"));
    TRY_AS(const bool done, v1_frozen(group));
    if (done) return true;
  } while (backoff.wait());
  return false;
}

Result<void> v1_thaw(const std::string& group) { return sys::write_file(group + "/freezer.state", "THAWED"); }

// Two that clean up at the same time (a supervisor, and a command with --skiplock): the other one was faster.
bool cleaned_up(const Error& e) { return e.sys_errno == ENODEV || e.sys_errno == ENOENT; }

Result<bool> kill_each(const Group& group, const std::string& v2_dir, const std::string& v1_freezer,
                       Deadline deadline) {
  // Frozen they cannot fork faster than we kill.
  (void)sys::write_file(v2_dir + "/cgroup.freeze", "1");
  Backoff backoff(deadline);
  do {
    if (read_number(v2_dir + "/cgroup.events", "populated") == 0 || !sys::exists(v2_dir)) return true;
    signal_all(group);
    if (!v1_freezer.empty()) TRY(v1_thaw(v1_freezer));
  } while (backoff.wait());
  return false;
}

Result<void> Group::freeze(std::chrono::milliseconds timeout) const {
  TRY(check_name(name_));
  const Deadline deadline = after(timeout);
  const std::string group = group_path(host_.v2_mount, name_);
  const std::string freezer = v1_freezer(host_, name_);
  auto v2 = sys::write_file(group + "/cgroup.freeze", "1");
  if (!v2 && !absent(v2)) return v2;
  if (!v2 && freezer.empty()) return no_freezer(group);
  auto done = v2 ? wait_event(group, "frozen", 1, deadline) : v1_freeze(freezer, deadline);
  if (done && *done) return {};
  (void)thaw();
  if (!done) return std::move(done).error();
  return fail(Code::timeout, "'{}' did not freeze within {} ms and runs on", group, timeout.count());
}

Result<void> Group::thaw() const {
  TRY(check_name(name_));
  const std::string group = group_path(host_.v2_mount, name_);
  const std::string freezer = v1_freezer(host_, name_);
  auto v2 = sys::write_file(group + "/cgroup.freeze", "0");
  if (v2 || !absent(v2)) return v2;
  return freezer.empty() ? no_freezer(group) : v1_thaw(freezer);
}

Result<bool> Group::frozen() const {
  TRY(check_name(name_));
  const std::string group = group_path(host_.v2_mount, name_);
  TRY_AS(const std::string events, sys::read_file(group + "/cgroup.events"));
  if (const auto frozen = find_number(events, "frozen")) return *frozen == 1;
  const std::string freezer = v1_freezer(host_, name_);
  return freezer.empty() ? Result<bool>(false) : v1_frozen(freezer);
}

Result<void> Group::kill(std::chrono::milliseconds timeout) const {
  TRY(check_name(name_));
  if (!exists()) return {};
  const Deadline deadline = after(timeout);
  const std::string group = group_path(host_.v2_mount, name_);
  auto killed = sys::write_file(group + "/cgroup.kill", "1");
  if (!killed && killed.error().sys_errno == ENODEV) return {};
  if (!killed && !absent(killed)) return killed;
  const auto empty = killed ? wait_event(group, "populated", 0, deadline)
                            : kill_each(*this, group, v1_freezer(host_, name_), deadline);
  if (!empty && cleaned_up(empty.error())) return {};
  if (!empty) return empty.error();
  // Only now: before, it would let the last ones run on.
  if (auto r = thaw(); !r && !cleaned_up(r.error()) && r.error().code != Code::unsupported) return r;
  if (*empty) return {};
  const auto left = processes();
  return fail(Code::timeout, "'{}' still holds processes {} ms after SIGKILL: {}", group, timeout.count(),
              left ? some(*left) : left.error().text);
}

}  // namespace vz::cgroups
