#include "checkpoint/foreign_mounts.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <set>

#include "base/strings.h"
#include "runtime/confinement.h"
#include "runtime/devices.h"
#include "sys/files.h"
#include "sys/mountinfo.h"

namespace vz::checkpoint {

namespace {

// File systems of which each guest has its own part.
constexpr std::string_view kPartedTypes[] = {"cgroup", "cgroup2", "nsfs"};

std::vector<sys::MountInfo> parse_mounts(std::string_view text) {
  std::vector<sys::MountInfo> out;
  for (const std::string_view line : split(text, '\n'))
    if (auto m = sys::parse_mount(line)) out.push_back(std::move(*m));
  return out;
}

// The host's device nodes, wherever the guest has bound them to.
bool is_device_node(const sys::MountInfo& mount) {
  const auto& nodes = runtime::device_nodes();
  return mount.device.starts_with("0:") &&
         std::find(nodes.begin(), nodes.end(), std::string_view(mount.root).substr(1)) != nodes.end();
}

}  // namespace

std::vector<std::string> foreign_mounts(std::string_view process, std::string_view init, std::string_view host,
                                        std::string_view run_dir) {
  std::set<std::string, std::less<>> devices;
  for (const sys::MountInfo& m : parse_mounts(host))
    if (!sys::is_within(m.point, run_dir)) devices.emplace(m.device);
  const auto of_init = parse_mounts(init);
  const auto root = std::find_if(of_init.begin(), of_init.end(), [](const auto& m) { return m.point == "/"; });
  std::vector<std::string> out;
  if (root == of_init.end()) return out;
  for (const sys::MountInfo& m : parse_mounts(process)) {
    const bool own = m.device == root->device && sys::is_within(m.root, root->root);
    const bool of_host = !m.device.starts_with("0:") || devices.contains(m.device);
    const bool parted = std::find(std::begin(kPartedTypes), std::end(kPartedTypes), m.type) != std::end(kPartedTypes);
    const bool given = m.root.starts_with(runtime::kNodeName) && m.type == "tmpfs";
    if (given || (of_host && !own && !parted && !is_device_node(m))) out.push_back(m.point);
  }
  return out;
}

Result<std::vector<ForeignMount>> foreign_mounts(pid_t init, const std::vector<pid_t>& pids,
                                                 const std::string& run_dir) {
  TRY_AS(const std::string of_init, sys::read_file(fmt::format("/proc/{}/mountinfo", init)));
  TRY_AS(const std::string host, sys::read_file("/proc/self/mountinfo"));
  std::vector<ForeignMount> out;
  std::set<std::string> namespaces, points;
  const auto look_at = [&](pid_t pid, const std::string& text) {
    for (const std::string& point : foreign_mounts(text, of_init, host, run_dir)) {
      if (pid == init) points.insert(point);
      if (pid == init || !points.contains(point)) out.push_back({pid, printable(point)});
    }
  };
  namespaces.insert(sys::read_link(fmt::format("/proc/{}/ns/mnt", init)).value_or(""));
  look_at(init, of_init);
  for (const pid_t pid : pids) {
    const auto space = sys::read_link(fmt::format("/proc/{}/ns/mnt", pid));
    if (!space || !namespaces.insert(*space).second) continue;
    look_at(pid, sys::read_file(fmt::format("/proc/{}/mountinfo", pid)).value_or(""));  // it may have ended
  }
  return out;
}

}  // namespace vz::checkpoint
