#include <algorithm>
#include <map>
#include <set>

#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "sys/files.h"

namespace vz::checkpoint {

namespace {

std::string command_of(pid_t pid) {
  return printable(trim(sys::read_file(fmt::format("/proc/{}/comm", pid)).value_or("?")));
}

std::optional<pid_t> parent_of(pid_t pid) {
  const auto text = sys::read_file(fmt::format("/proc/{}/stat", pid));
  if (!text) return std::nullopt;
  const auto fields = words(std::string_view(*text).substr(std::min(text->rfind(')'), text->size() - 1) + 1));
  const auto parent = fields.size() > 1 ? parse_u64(fields[1]) : std::nullopt;
  return parent ? std::optional(static_cast<pid_t>(*parent)) : std::nullopt;
}

// Entered from outside: its line of parents does not end at init. criu dumps a tree.
bool entered(pid_t pid, pid_t init, const std::set<pid_t>& members) {
  while (pid != init) {
    const auto parent = parent_of(pid);
    if (!parent) return false;  // it just ended
    if (*parent != init && !members.contains(*parent)) return true;
    pid = *parent;
  }
  return false;
}

}  // namespace

Result<std::vector<std::string>> obstacles(const runtime::Host& host, const runtime::Container& ct) {
  const auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "Unable to setup checkpointing: container is not running");
  TRY_AS(cgroups::Group group, runtime::group_of(ct));
  TRY_AS(std::vector<pid_t> pids, group.processes());
  const std::set<pid_t> members(pids.begin(), pids.end());
  std::vector<std::string> out;
  for (const pid_t pid : pids)
    if (entered(pid, running->init, members))
      out.push_back(fmt::format("process {} ({}) was entered from outside (vzctl exec or enter): close it first", pid,
                                command_of(pid)));
  return out;
}

}  // namespace vz::checkpoint
