#include "cgroups/v2/delegate.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/strings.h"
#include "cgroups/tree.h"
#include "sys/files.h"

namespace vz::cgroups::v2 {

namespace {

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

constexpr auto kNeeded = std::to_array<std::string_view>({"memory", "pids", "cpu"});

Error explained(Error e) {
  if (e.sys_errno == EBUSY) e.text += "; processes sit in that very group: move them into a sub-group of it first";
  if (e.sys_errno == ENOENT) e.text += "; the group above does not pass this controller on";
  return e;
}

Result<void> enable(const std::string& file, const std::vector<std::string>& missing) {
  auto all = sys::write_file(file, "+" + join(missing, " +"));
  if (all) return {};
  // Not one by one then: a group with processes takes cpu and pids alone, and becomes a threaded one, fit for no CT.
  if (all.error().sys_errno == EBUSY) return explained(std::move(all).error());
  // All or nothing: one that cannot be had must not keep the others away.
  for (const std::string& name : missing) {
    auto r = sys::write_file(file, "+" + name);
    if (!r && contains(kNeeded, name)) return explained(std::move(r).error());
  }
  return {};
}

// Since Linux 4.15; the three names below are those of older kernels.
std::vector<std::string> read_delegable_files() {
  const auto text = sys::read_file("/sys/kernel/cgroup/delegate");
  if (!text) return {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"};
  const auto names = words(*text);
  return {names.begin(), names.end()};
}

const std::vector<std::string>& delegable_files() {
  static const std::vector<std::string> files = read_delegable_files();
  return files;
}

}  // namespace

Result<void> enable_controllers(const std::string& group, const std::vector<std::string>& wanted) {
  if (wanted.empty()) return {};
  const std::string file = group + "/cgroup.subtree_control";
  TRY_AS(const std::string text, read_value(file));
  const auto enabled = words(text);
  std::vector<std::string> missing;
  for (const std::string& name : wanted)
    if (!contains(enabled, name)) missing.push_back(name);
  if (missing.empty()) return {};
  return enable(file, missing);
}

Result<void> delegate(int dir, uid_t uid, gid_t gid) {
  if (::fchown(dir, uid, gid) != 0) return fail_sys(errno, "give a control group to user {}", uid);
  for (const std::string& file : delegable_files())
    if (::fchownat(dir, file.c_str(), uid, gid, 0) != 0 && errno != ENOENT)
      return fail_sys(errno, "give '{}' to user {}", printable(file), uid);
  return {};
}

}  // namespace vz::cgroups::v2
