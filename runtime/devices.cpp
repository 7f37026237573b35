#include "runtime/devices.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/log.h"
#include "base/strings.h"
#include "runtime/confinement.h"
#include "runtime/inside.h"
#include "sys/channel.h"
#include "sys/files.h"
#include "sys/mounts.h"
#include "sys/namespaces.h"
#include "sys/process.h"

namespace vz::runtime {

namespace {

using sys::UniqueFd;
enum NodeStep : int { kNodes = 1, kChanged };
constexpr size_t kMostNodes = 16;  // they travel in one message
constexpr unsigned kPatienceSeconds = 20;

// ---- what there is on this host ------------------------------------------------------------------------------------

Result<HostDevice> find_node(const config::DevNode& node) {
  const std::string path = "/dev/" + node.name;
  const auto st = sys::stat(path);
  if (!st) return fail(Code::device_failed, "DEVNODES: this host has no device '{}'", path);
  if (!S_ISCHR(st->st_mode)) return fail(Code::device_failed, "DEVNODES: '{}' is no character device", path);
  const cgroups::Device device{major(st->st_rdev), minor(st->st_rdev), node.read, node.write};
  return HostDevice{node.name, device, st->st_mode & 0777u};
}

std::string name_of(uint32_t major, uint32_t minor) {
  const auto uevent = sys::read_file(fmt::format("/sys/dev/char/{}:{}/uevent", major, minor));
  if (uevent) return name_in_uevent(*uevent);
  utsname kernel{};
  ::uname(&kernel);
  const auto modules = sys::read_file(fmt::format("/lib/modules/{}/modules.devname", kernel.release));
  return modules ? name_in_modules(*modules, major, minor) : std::string();
}

// Without a node in the host's /dev nobody has said who may open it but root.
HostDevice numbered(const config::DeviceNumber& d, uint32_t minor, std::string name) {
  const auto st = name.empty() ? fail(Code::not_found, "no name") : sys::stat("/dev/" + name);
  const bool same = st && S_ISCHR(st->st_mode) && st->st_rdev == makedev(d.major, minor);
  return {std::move(name), {d.major, minor, d.read, d.write}, same ? st->st_mode & 0777u : 0600u};
}

std::vector<HostDevice> find_all_minors(const config::DeviceNumber& d) {
  std::vector<HostDevice> out;
  const std::string begin = fmt::format("{}:", d.major);
  for (const std::string& number : sys::list_dir("/sys/dev/char").value_or({})) {
    const auto minor = number.starts_with(begin) ? parse_u64(number.substr(begin.size())) : std::nullopt;
    if (!minor) continue;
    std::string name = name_of(d.major, static_cast<uint32_t>(*minor));
    if (!name.empty()) out.push_back(numbered(d, static_cast<uint32_t>(*minor), std::move(name)));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.device.minor < b.device.minor; });
  out.insert(out.begin(), {{}, {d.major, cgroups::kAnyMinor, d.read, d.write}, 0});
  return out;
}

std::vector<HostDevice> find_number(const config::DeviceNumber& d) {
  if (d.block) return {};
  if (!d.minor) return find_all_minors(d);
  return {numbered(d, *d.minor, name_of(d.major, *d.minor))};
}

// DEVNODES and DEVICES may both name it: it has the rights of both.
void merge(std::vector<HostDevice>& list, const HostDevice& found) {
  const auto known = std::find_if(list.begin(), list.end(), [&](const HostDevice& d) {
    return d.device.major == found.device.major && d.device.minor == found.device.minor;
  });
  if (known == list.end()) {
    list.push_back(found);
    return;
  }
  known->device.read |= found.device.read;
  known->device.write |= found.device.write;
}

void forget_nodes_beyond(std::vector<HostDevice>& list, size_t most) {
  size_t nodes = 0;
  for (HostDevice& d : list)
    if (!d.name.empty() && ++nodes > most) d.name.clear();
}

// ---- nodes ---------------------------------------------------------------------------------------------------------

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

// ---- in a running CT -----------------------------------------------------------------------------------------------

// What else its root has put there is left alone.
void remove_device(const HostDevice& d) {
  const std::string path = "/dev/" + d.name;
  struct ::stat st {};
  const auto is_it = [&] {
    return ::lstat(path.c_str(), &st) == 0 && S_ISCHR(st.st_mode) &&
           st.st_rdev == makedev(d.device.major, d.device.minor);
  };
  while (is_it() && sys::is_mount_point(path) && sys::umount_lazy(path)) {
  }
  if (::lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0) ::unlink(path.c_str());
}

// In a child that enters the guest: no path of its leads out of there, and its root may do all of this itself.
Result<void> change_inside(const UniqueFd& init, const std::vector<HostDevice>& gone,
                           const std::vector<HostDevice>& added, const std::vector<UniqueFd>& nodes) {
  TRY(sys::enter_ns(init.get(), CLONE_NEWUSER | CLONE_NEWNS));
  TRY(become_root());
  for (const HostDevice& d : gone) remove_device(d);
  for (size_t i = 0; i < added.size(); ++i) TRY(add_device(added[i].name, nodes[i].get()));
  return {};
}

Result<void> change_nodes(const Container& ct, pid_t init, const std::vector<HostDevice>& gone,
                          const std::vector<HostDevice>& added) {
  if (gone.empty() && added.empty()) return {};
  TRY_AS(const UniqueFd pidfd, sys::open_pidfd(init));
  TRY_AS(const std::vector<UniqueFd> nodes, make_device_nodes(ct, added));
  TRY_AS(sys::Channel::Pair channel, sys::Channel::make());
  TRY_AS(const sys::Forked helper, sys::fork_process());
  if (helper.pid == 0) {
    ::signal(SIGALRM, SIG_DFL);
    ::alarm(kPatienceSeconds);  // a file system of the guest's own need not answer
    const auto changed = change_inside(pidfd, gone, added, nodes);
    (void)(changed ? channel.child.post(kChanged) : channel.child.post_error(changed.error()));
    ::_exit(0);
  }
  channel.child.close();
  const auto changed = channel.parent.expect(kChanged);
  TRY(sys::wait_child(helper.pid));
  if (!changed) return Error(changed.error()).with_code(Code::device_failed);
  return {};
}

std::vector<HostDevice> without(const std::vector<HostDevice>& all, const std::vector<HostDevice>& taken) {
  std::vector<HostDevice> out;
  for (const HostDevice& d : all)
    if (std::none_of(taken.begin(), taken.end(), [&](const HostDevice& t) { return t.name == d.name; }))
      out.push_back(d);
  return out;
}

}  // namespace

std::string name_in_uevent(std::string_view uevent) {
  constexpr std::string_view kKey = "DEVNAME=";
  for (const std::string_view line : split(uevent, '\n'))
    if (line.starts_with(kKey) && config::valid_node_name(line.substr(kKey.size())))
      return std::string(line.substr(kKey.size()));
  return {};
}

std::string name_in_modules(std::string_view modules, uint32_t major, uint32_t minor) {
  const std::string number = fmt::format("c{}:{}", major, minor);
  for (const std::string_view line : split(modules, '\n')) {
    const auto w = words(line);
    if (w.size() == 3 && w[2] == number && config::valid_node_name(w[1])) return std::string(w[1]);
  }
  return {};
}

Result<std::vector<HostDevice>> host_devices(const config::CtSpec& spec) {
  std::vector<HostDevice> out;
  const auto& always = device_nodes();
  const auto add = [&](HostDevice d) {
    if (std::find(always.begin(), always.end(), d.name) == always.end()) merge(out, d);
  };
  for (const config::DevNode& node : spec.devnodes.value_or(std::vector<config::DevNode>())) {
    if (std::find(always.begin(), always.end(), node.name) != always.end()) continue;
    TRY_AS(HostDevice found, find_node(node));
    add(std::move(found));
  }
  for (const config::DeviceNumber& d : spec.devices.value_or(std::vector<config::DeviceNumber>()))
    for (HostDevice& found : find_number(d)) add(std::move(found));
  forget_nodes_beyond(out, kMostNodes);
  return out;
}

void warn_of_missing_nodes(const std::vector<HostDevice>& devices) {
  for (const HostDevice& d : devices)
    if (d.name.empty() && d.device.minor != cgroups::kAnyMinor)
      log::warn("DEVICES: no node for c:{}:{}: this host has no such device, or the container has {} nodes already",
                d.device.major, d.device.minor, kMostNodes);
}

std::vector<cgroups::Device> numbers_of(const std::vector<HostDevice>& devices) {
  std::vector<cgroups::Device> out;
  for (const HostDevice& d : devices) out.push_back(d.device);
  return out;
}

std::vector<HostDevice> with_nodes(const std::vector<HostDevice>& devices) {
  std::vector<HostDevice> out;
  std::copy_if(devices.begin(), devices.end(), std::back_inserter(out), [](const auto& d) { return !d.name.empty(); });
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

Result<void> add_device(const std::string& name, int node) {
  const std::string path = "/dev/" + name;
  if (const std::string dir = sys::parent_dir(path); dir != "/dev") TRY(sys::make_dirs(dir));
  TRY(sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0666));
  return sys::attach(node, path);
}

Result<void> change_devices(const Container& before, const Container& after, pid_t init) {
  TRY_AS(const auto wanted, host_devices(after.spec));
  warn_of_missing_nodes(wanted);
  // What was given and is not on this host any more has no node that could still be opened.
  const auto given = host_devices(before.spec).value_or({});
  TRY_AS(const cgroups::Group group, group_of(after));
  const auto old_nodes = with_nodes(given), new_nodes = with_nodes(wanted);
  TRY(group.change_devices(numbers_of(given), numbers_of(wanted)), "devices");
  return change_nodes(after, init, without(old_nodes, new_nodes), without(new_nodes, old_nodes));
}

}  // namespace vz::runtime
