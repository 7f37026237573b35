#include "runtime/inside.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <span>

#include "cgroups/cgroups.h"
#include "runtime/confinement.h"
#include "runtime/devices.h"
#include "sys/capabilities.h"
#include "sys/files.h"
#include "sys/mounts.h"
#include "sys/seccomp.h"
#include "templates/templates.h"

namespace vz::runtime {

namespace {

using sys::UniqueFd;

// Opened on the host's /dev while it is still in sight; attached when the guest's /dev is there.
Result<std::vector<UniqueFd>> clone_device_nodes() {
  std::vector<UniqueFd> nodes;
  for (const std::string_view name : device_nodes()) {
    TRY_AS(UniqueFd node, sys::clone_tree("/dev/" + std::string(name)));
    nodes.push_back(std::move(node));
  }
  return nodes;
}

// Into the new root before anything is mounted in it: from here on a symbolic link of the guest's (/proc -> /etc)
// resolves inside the guest (CVE-2019-16884, CVE-2021-30465). The old root stays stacked over the new one until
// detach_old_root(): the kernel lets us mount proc and sysfs only while the host's are still in the namespace.
Result<void> pivot(const InsidePlan& plan, int tree) {
  TRY(sys::attach(tree, plan.attach_point));
  if (::chdir(plan.attach_point.c_str()) != 0) return fail_sys(errno, "enter '{}'", plan.attach_point);
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return fail_sys(errno, "pivot_root");
  return {};
}

Result<void> detach_old_root() {
  if (::umount2(".", MNT_DETACH) != 0) return fail_sys(errno, "detach the host's root");
  if (::chdir("/") != 0) return fail_sys(errno, "chdir");
  return {};
}

Result<void> mount_all() {
  for (const MountStep& m : guest_mounts()) {
    const std::string target(m.target);
    if (::mkdir(target.c_str(), 0755) != 0 && errno != EEXIST) return fail_sys(errno, "make '{}'", target);
    TRY(sys::mount(std::string(m.type), target, std::string(m.type), m.flags, std::string(m.options)));
    if (m.flags & MS_BIND) TRY(sys::make_unbindable(target));
  }
  return {};
}

Result<void> fill_dev(const std::vector<UniqueFd>& nodes) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    const std::string path = "/dev/" + std::string(device_nodes()[i]);
    TRY(sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0666));
    TRY(sys::attach(nodes[i].get(), path));
  }
  for (const Link& l : device_links())
    if (::symlink(std::string(l.target).c_str(), std::string(l.path).c_str()) != 0)
      return fail_sys(errno, "link '{}'", l.path);
  return {};
}

// Unbindable as above: every mount of every confined service makes a dump longer.
Result<void> empty_files() {
  for (const std::string_view file : emptied_files()) {
    const std::string path(file);
    if (!sys::exists(path)) continue;
    TRY(sys::bind("/dev/null", path));
    TRY(sys::make_unbindable(path));
  }
  return {};
}

Result<void> add_devices(const std::vector<std::string>& names, std::span<const UniqueFd> nodes) {
  for (size_t i = 0; i < names.size(); ++i) TRY(add_device(names[i], nodes[i].get()));
  return {};
}

Result<void> fill_run() {
  for (const SeedFile& f : run_files()) {
    const std::string path(f.path);
    TRY(sys::make_dirs(sys::parent_dir(path)));
    TRY_AS(UniqueFd fd, sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0644));
    TRY(sys::write_all(fd.get(), f.text));
  }
  return {};
}

Result<void> null_stdio() {
  TRY_AS(UniqueFd null, sys::open("/dev/null", O_RDWR));
  for (int fd = 0; fd < 3; ++fd)
    if (::dup2(null.get(), fd) < 0) return fail_sys(errno, "dup2");
  return {};
}

// What a fresh machine has, whatever shell vzctl was started from. (Limits: see supervise().)
void reset_process() {
  for (int sig = 1; sig < NSIG; ++sig) ::signal(sig, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::setsid();
}

Result<void> become_init(const InsidePlan& plan, const sys::Channel& host) {
  if (::unshare(CLONE_NEWNET) != 0) return fail_sys(errno, "network namespace");
  TRY(host.post(kNetReady));
  TRY(sys::make_private("/"));
  TRY_AS(std::vector<UniqueFd> nodes, clone_device_nodes());
  TRY_AS(std::vector<UniqueFd> luggage, host.expect(kMapped));
  const std::span<const UniqueFd> fds = luggage;
  if (fds.size() < 1 + plan.devices.size()) return fail(Code::peer, "start channel: descriptors are missing");
  const auto devices = fds.subspan(1, plan.devices.size());
  TRY(cgroups::Group::join(fds.subspan(1 + devices.size())), "join the cgroups");
  // Only now: its root is where we are.
  if (::unshare(CLONE_NEWCGROUP) != 0) return fail_sys(errno, "cgroup namespace");
  TRY(pivot(plan, fds.front().get()), "root file system");
  TRY(become_root());
  TRY(mount_all(), "mounts");
  TRY(fill_dev(nodes), "/dev");
  TRY(add_devices(plan.devices, devices), "/dev");
  nodes.clear();
  luggage.clear();
  TRY(empty_files(), "/proc");
  TRY(fill_run(), "/run");
  TRY(detach_old_root());
  TRY(null_stdio());
  if (::sethostname(plan.hostname.data(), plan.hostname.size()) != 0) return fail_sys(errno, "set the hostname");
  reset_process();
  TRY(host.post(kRootReady));
  TRY(confine(plan.drop));
  TRY(host.expect(kGo));
  return {};
}

Error exec_init(const InsidePlan& plan) {
  std::vector<char*> argv, env;
  for (const std::string& a : plan.argv) argv.push_back(const_cast<char*>(a.c_str()));
  for (const std::string& e : plan.env) env.push_back(const_cast<char*>(e.c_str()));
  argv.push_back(nullptr);
  env.push_back(nullptr);
  for (const char* path : templates::kInits) {
    ::execve(path, argv.data(), env.data());
    if (errno != ENOENT) return fail_sys(errno, "run '{}'", path);
  }
  return fail(Code::bad_template, "Unable to start init, probably incorrect template");
}

}  // namespace

Result<void> become_root() {
  if (::setgroups(0, nullptr) != 0 || ::setresgid(0, 0, 0) != 0 || ::setresuid(0, 0, 0) != 0)
    return fail_sys(errno, "become root of the container");
  return {};
}

Result<void> confine(const std::vector<std::string>& drop) {
  // The keys of whoever typed the command stay out of the guest's reach.
  (void)::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr);
  // Descriptors that the caller of vzctl left open are doors to the host (CVE-2024-21626).
  if (::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0) return fail_sys(errno, "close_range");
  TRY(sys::drop_capabilities(drop));
  return sys::load_filter(guest_filter());
}

void run_inside(const InsidePlan& plan, const sys::Channel& host) {
  auto ready = become_init(plan, host);
  const Error error = ready ? exec_init(plan) : ready.error();
  (void)host.post_error(error);
  ::_exit(1);
}

}  // namespace vz::runtime
