#include "runtime/devices.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/confinement.h"
#include "sys/channel.h"
#include "sys/files.h"
#include "sys/mounts.h"
#include "sys/process.h"

namespace vz::runtime {

namespace {

using sys::UniqueFd;
enum NodeStep : int { kNodes = 1 };

Result<UniqueFd> make_node(const std::string& path, const HostDevice& d, uid_t owner) {
  if (::mknod(path.c_str(), S_IFCHR | d.mode, makedev(d.device.major, d.device.minor)) != 0 ||
      ::chown(path.c_str(), owner, owner) != 0 || ::chmod(path.c_str(), d.mode) != 0)
    return fail_sys(errno, "make a node for '/dev/{}'", d.name);
  return sys::clone_tree(path);
}

// On a tmpfs that nobody else sees, and that lives as long as the clones. One of the guest's own would open no device.
Result<std::vector<UniqueFd>> make_nodes(const Container& ct, const std::vector<HostDevice>& devices) {
  if (::unshare(CLONE_NEWNS) != 0) return fail_sys(errno, "mount namespace");
  TRY(sys::make_private("/"));
  TRY(sys::mount("tmpfs", ct.area.root_dir, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k"));
  std::vector<UniqueFd> nodes;
  for (const HostDevice& d : devices) {
    TRY_AS(UniqueFd node, make_node(fmt::format("{}{}{}", ct.area.root_dir, kNodeName, nodes.size()), d, ct.ids.first));
    nodes.push_back(std::move(node));
  }
  return nodes;
}

}  // namespace

Result<std::vector<HostDevice>> host_devices(const config::CtSpec& spec) {
  std::vector<HostDevice> out;
  if (!spec.devnodes) return out;
  const auto& always = device_nodes();
  for (const config::DevNode& node : *spec.devnodes) {
    if (std::find(always.begin(), always.end(), node.name) != always.end()) continue;
    const std::string path = "/dev/" + node.name;
    const auto st = sys::stat(path);
    if (!st) return fail(Code::device_failed, "DEVNODES: this host has no device '{}'", path);
    if (!S_ISCHR(st->st_mode)) return fail(Code::device_failed, "DEVNODES: '{}' is no character device", path);
    const cgroups::Device device{major(st->st_rdev), minor(st->st_rdev), node.read, node.write};
    out.push_back({node.name, device, st->st_mode & 0777u});
  }
  return out;
}

Result<std::vector<UniqueFd>> make_device_nodes(const Container& ct, const std::vector<HostDevice>& devices) {
  if (devices.empty()) return std::vector<UniqueFd>();
  TRY_AS(sys::Channel::Pair channel, sys::Channel::make());
  TRY_AS(const sys::Forked helper, sys::fork_process());
  if (helper.pid == 0) {
    const auto made = make_nodes(ct, devices);
    std::vector<int> fds;
    if (made)
      for (const UniqueFd& fd : *made) fds.push_back(fd.get());
    (void)(made ? channel.child.post(kNodes, fds) : channel.child.post_error(made.error()));
    ::_exit(0);
  }
  channel.child.close();
  auto nodes = channel.parent.expect(kNodes);
  TRY(sys::wait_child(helper.pid));
  if (!nodes) return std::move(nodes).error().with_code(Code::device_failed);
  return nodes;
}

}  // namespace vz::runtime
