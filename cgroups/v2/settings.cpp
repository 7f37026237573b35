#include "cgroups/v2/settings.h"

#include <fcntl.h>

#include <algorithm>

#include "base/strings.h"
#include "cgroups/tree.h"
#include "sys/files.h"

namespace vz::cgroups::v2 {

namespace {

constexpr std::string_view kPassedOn = "cgroup.subtree_control";
constexpr size_t kMaxValue = 256;

struct Kind {
  std::string_view file;
  std::string_view plain;  // what a new group has
  bool optional = false;   // not every host takes it
};

// cgroup.subtree_control last: a group that is to be threaded must be so before.
constexpr Kind kKinds[] = {{"cgroup.type", "domain"},
                           {"cgroup.max.depth", "max"},
                           {"cgroup.max.descendants", "max"},
                           {"cpu.idle", "0", true},
                           {"cpu.weight", "100"},
                           {"cpu.max", "max 100000"},
                           {"cpu.max.burst", "0", true},
                           {"cpuset.cpus", "", true},
                           {"cpuset.mems", "", true},
                           {"io.weight", "default 100", true},
                           {"memory.min", "0"},
                           {"memory.low", "0"},
                           {"memory.high", "max"},
                           {"memory.max", "max"},
                           {"memory.oom.group", "0"},
                           {"memory.swap.high", "max", true},
                           {"memory.swap.max", "max", true},
                           {"memory.zswap.max", "max", true},
                           {"pids.max", "max"},
                           {kPassedOn, ""}};

const Kind* find_kind(std::string_view file) {
  const auto it = std::find_if(std::begin(kKinds), std::end(kKinds), [&](const Kind& k) { return k.file == file; });
  return it == std::end(kKinds) ? nullptr : it;
}

// The kernel shows some values that it does not take: "domain threaded" of a group with threaded ones below, the weight
// 0 of an idle group.
bool worth_keeping(const Kind& kind, std::string_view value) {
  if (value == kind.plain || value.size() > kMaxValue || value.find('\n') != std::string_view::npos) return false;
  if (kind.file == "cgroup.type") return value == "threaded";
  return kind.file != "cpu.weight" || value != "0";
}

// "cpu memory" is written as "+cpu +memory".
std::string added(std::string_view controllers) {
  std::string out;
  for (const std::string_view name : words(controllers)) out += fmt::format("+{} ", name);
  return out;
}

Result<void> write_at(int dir, const std::string& file, const std::string& text) {
  TRY_AS(const sys::UniqueFd fd, sys::open_at(dir, file, O_WRONLY));
  return sys::write_once(fd.get(), text);
}

}  // namespace

std::vector<Group::Setting> read_settings(int dir, bool of_root) {
  std::vector<Group::Setting> out;
  for (const Kind& kind : kKinds) {
    if (of_root && kind.file != kPassedOn) continue;
    auto value = read_value_at(dir, std::string(kind.file));
    if (value && worth_keeping(kind, *value)) out.push_back({std::string(kind.file), std::move(*value)});
  }
  return out;
}

Result<void> check_settings(const std::vector<Group::Setting>& settings, bool of_root) {
  for (const Group::Setting& s : settings) {
    const Kind* kind = find_kind(s.file);
    if (!kind || (of_root && kind->file != kPassedOn) || !worth_keeping(*kind, s.value))
      return fail(Code::invalid, "'{}' cannot be set to '{:.64}' by a guest", printable(s.file), printable(s.value));
  }
  return {};
}

Result<void> write_settings(int dir, const std::vector<Group::Setting>& settings) {
  for (const Group::Setting& s : settings) {
    const Kind* kind = find_kind(s.file);
    const bool passes_on = s.file == kPassedOn;
    const auto written = write_at(dir, s.file, passes_on ? added(s.value) : s.value);
    if (written || (kind && kind->optional)) continue;
    if (passes_on)
      return fail(Code::unsupported, "this host's cgroup v2 lacks a controller of the guest's: {}", printable(s.value));
    TRY(written, "set '{}' to '{}'", printable(s.file), printable(s.value));
  }
  return {};
}

}  // namespace vz::cgroups::v2
