#include <algorithm>
#include <array>

#include "base/strings.h"
#include "cgroups/cgroups.h"
#include "sys/files.h"
#include "sys/mountinfo.h"

namespace vz::cgroups {

namespace {

using Mount = sys::MountInfo;

// Names among the other mount options (rw, xattr, seclabel, release_agent=...).
constexpr auto kV1Controllers =
    std::to_array<std::string_view>({"cpu", "cpuacct", "cpuset", "memory", "pids", "devices", "freezer", "blkio",
                                     "net_cls", "net_prio", "perf_event", "hugetlb", "rdma", "misc", "dmem"});

Result<std::vector<Mount>> parse_mounts(std::string_view text) {
  std::vector<Mount> out;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    auto mount = sys::parse_mount(line);
    if (!mount) return fail(Code::invalid, "mountinfo: bad line '{}'", printable(line));
    out.push_back(std::move(*mount));
  }
  return out;
}

// False when a mount that is not beneath it lies on its mount point or on a directory above.
bool visible(const Mount& mount, const std::vector<Mount>& all) {
  std::vector<std::string_view> line{mount.id};
  for (bool grown = true; grown;) {
    grown = false;
    for (const Mount& m : all) {
      if (m.id != line.back() || m.parent == m.id || line.size() > all.size()) continue;
      line.push_back(m.parent);
      grown = true;
      break;
    }
  }
  return std::none_of(all.begin(), all.end(), [&](const Mount& m) {
    return sys::is_within(mount.point, m.point) && std::find(line.begin(), line.end(), m.id) == line.end();
  });
}

std::vector<std::string> v1_controllers(const Mount& mount) {
  std::vector<std::string> out;
  for (const std::string_view option : split(mount.super_options, ','))
    if (option.starts_with("name=") ||
        std::find(kV1Controllers.begin(), kV1Controllers.end(), option) != kV1Controllers.end())
      out.push_back(sys::unescape_mount(option));
  return out;
}

void add(Host& host, const std::string& controller, const std::string& v1_mount) {
  if (!host.find(controller)) host.controllers.push_back({controller, v1_mount});
}

Result<Host> find_mounts(std::string_view mountinfo) {
  TRY_AS(std::vector<Mount> mounts, parse_mounts(mountinfo));
  std::vector<Mount> groups;
  for (const Mount& m : mounts)
    if ((m.type == "cgroup" || m.type == "cgroup2") && visible(m, mounts)) groups.push_back(m);
  // A mount of the whole hierarchy before a bind mount of a part.
  std::stable_partition(groups.begin(), groups.end(), [](const Mount& m) { return m.root == "/"; });
  Host host;
  for (const Mount& m : groups) {
    if (m.type == "cgroup2" && host.v2_mount.empty()) host.v2_mount = m.point;
    if (m.type != "cgroup") continue;
    for (const std::string& name : v1_controllers(m)) add(host, name, m.point);
  }
  return host;
}

void add_v2_controllers(Host& host, std::string_view text) {
  for (const std::string_view name : words(text)) add(host, std::string(name), "");
}

}  // namespace

const Host::Controller* Host::find(std::string_view name) const {
  const auto it =
      std::find_if(controllers.begin(), controllers.end(), [&](const Controller& c) { return c.name == name; });
  return it == controllers.end() ? nullptr : &*it;
}

Result<Host> parse_host(std::string_view mountinfo, std::string_view v2_controllers) {
  TRY_AS(Host host, find_mounts(mountinfo));
  if (!host.v2_mount.empty()) add_v2_controllers(host, v2_controllers);
  return host;
}

Result<Host> detect() {
  TRY_AS(const std::string mountinfo, sys::read_file("/proc/self/mountinfo"));
  TRY_AS(Host host, find_mounts(mountinfo));
  if (host.v2_mount.empty())
    return fail(
        Code::unsupported,
        "no cgroup2 hierarchy is mounted on this host; mount one, e.g. mount -t cgroup2 none /sys/fs/cgroup/unified");
  TRY_AS(const std::string controllers, sys::read_file(host.v2_mount + "/cgroup.controllers"));
  add_v2_controllers(host, controllers);
  return host;
}

std::optional<std::string> group_of_process(std::string_view proc_cgroup) {
  constexpr std::string_view kPrefix = "0::/vz/";
  for (const std::string_view line : split(proc_cgroup, '\n')) {
    if (!line.starts_with(kPrefix)) continue;
    const std::string_view path = line.substr(kPrefix.size()), name = path.substr(0, path.find('/'));
    if (!name.empty()) return std::string(name);
  }
  return std::nullopt;
}

std::optional<config::CtId> container_of(pid_t pid) {
  const auto groups = sys::read_file(fmt::format("/proc/{}/cgroup", pid));
  if (!groups) return std::nullopt;
  const auto group = group_of_process(*groups);
  const auto id = group ? parse_u64(*group) : std::nullopt;
  return id && *id <= config::kMaxCtId ? static_cast<config::CtId>(*id) : config::CtId{0};
}

}  // namespace vz::cgroups
