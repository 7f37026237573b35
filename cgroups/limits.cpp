#include <cerrno>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "cgroups/cgroups.h"
#include "cgroups/tree.h"
#include "sys/files.h"

namespace vz::cgroups {

namespace {

std::string directory_of(const Host& host, const Host::Controller& c, const std::string& name) {
  return group_path(c.v1_mount.empty() ? host.v2_mount : c.v1_mount, name);
}

constexpr std::pair<std::string_view, Code> kCodes[] = {
    {"cpu", Code::cpu_failed}, {"cpuset", Code::cpu_failed}, {"blkio", Code::io_failed}, {"io", Code::io_failed}};
Code code_of(std::string_view controller) {
  for (const auto& [name, code] : kCodes)
    if (name == controller) return code;
  return Code::cgroup_failed;
}

Error refused(Error e, const Knob& knob) {
  if (e.sys_errno == EBUSY) e.text += "; the container uses more than that, and the kernel cannot take it back";
  if (e.sys_errno == ENOENT) e.text += "; this kernel or the group above lacks that limit";
  return std::move(e).with_code(code_of(knob.controller));
}

// A smaller memory.max makes a v2 kernel kill for what it cannot reclaim; memory.high only reclaims. So that first, and
// it stays in force until memory.max holds.
Result<void> reclaim(const std::string& group, uint64_t bytes) {
  const std::string current = group + "/memory.current";
  if (read_number(current).value_or(0) <= bytes) return {};
  TRY(sys::write_file(group + "/memory.high", std::to_string(bytes)));
  const uint64_t left = read_number(current).value_or(0);
  if (left <= bytes) return {};
  TRY(sys::write_file(group + "/memory.high", "max"));
  return fail_sys(EBUSY, "write '{}' to '{}/memory.max': {} bytes stay in use", bytes, group, left);
}

Result<void> write_v2_memory(const std::string& group, const std::string& path, const Knob& knob) {
  const auto bytes = parse_u64(knob.value);
  if (bytes) TRY(reclaim(group, *bytes));
  auto done = sys::write_file(path, knob.value);
  if (bytes) (void)sys::write_file(group + "/memory.high", "max");
  return done;
}

Result<void> write_knob(const Host& host, const std::string& name, const Knob& knob) {
  const Host::Controller* c = host.find(knob.controller);
  if (!c && knob.optional) return {};
  if (!c)
    return fail(code_of(knob.controller), "'{}' cannot be limited: this host has no '{}' controller", knob.file,
                knob.controller);
  const std::string group = directory_of(host, *c, name);
  const std::string path = group + "/" + knob.file;
  const auto write = [&]() -> Result<void> {
    if (knob.file == "memory.max") return write_v2_memory(group, path, knob);
    if (knob.controller != "cpuset" || !knob.value.empty()) return sys::write_file(path, knob.value);
    // What the group above has: one with processes cannot be emptied again (validate_change in kernel/cgroup/cpuset.c).
    const char* suffix = c->v1_mount.empty() ? ".effective" : "";
    TRY_AS(const std::string all, read_value(fmt::format("{}/{}{}", sys::parent_dir(group), knob.file, suffix)));
    return sys::write_file(path, all);
  };
  auto r = write();
  if (r || (knob.optional && r.error().sys_errno == ENOENT)) return {};
  return refused(std::move(r).error(), knob);
}

}  // namespace

Result<void> Group::apply(const Limits& limits) const {
  TRY(check_name(name_));
  const std::vector<Knob> knobs = plan(host_, limits);
  for (size_t i = 0; i < knobs.size(); ++i) {
    auto r = write_knob(host_, name_, knobs[i]);
    if (r) continue;
    // v1 refuses memory above memory+swap at any moment: when both rise, the second goes first.
    if (knobs[i].file != "memory.limit_in_bytes" || r.error().sys_errno != EINVAL) return r;
    TRY(write_knob(host_, name_, knobs[i + 1]));
    TRY(write_knob(host_, name_, knobs[i]));
    ++i;
  }
  return {};
}

}  // namespace vz::cgroups
