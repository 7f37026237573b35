#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/rollback.h"
#include "base/strings.h"
#include "cgroups/cgroups.h"
#include "cgroups/tree.h"
#include "cgroups/v1/setup.h"
#include "cgroups/v2/delegate.h"
#include "cgroups/v2/devices.h"
#include "sys/files.h"

namespace vz::cgroups {

namespace {

constexpr auto kRemoveTime = std::chrono::seconds(1);

// What limits need and a guest's systemd can use. Others (hugetlb, rdma, misc) stay as the host has them: each enabled
// one makes every group of the whole host dearer.
constexpr auto kGuestControllers = std::to_array<std::string_view>({"cpu", "cpuset", "io", "memory", "pids"});

// V1_MOUNT empty: on v2.
bool is_on(const Host& host, std::string_view controller, const std::string& v1_mount) {
  const Host::Controller* c = host.find(controller);
  return c && c->v1_mount == v1_mount;
}

// Where the hierarchy that has files for devices is mounted; empty: programs do it.
std::string v1_devices(const Host& host) {
  const Host::Controller* c = host.find("devices");
  return c ? c->v1_mount : std::string();
}

// MOUNT/vz/NAME. A left-over is made anew, so that none of its limits, its freeze and its sub-groups stays.
Result<void> make_fresh(const std::string& mount, const std::string& name) {
  const std::string group = group_path(mount, name);
  auto made = make_dir(group);
  if (!made && made.error().sys_errno == ENOENT) {  // the first CT since boot
    TRY(make_dir(mount + "/vz"));
    made = make_dir(group);
  }
  if (!made) return std::move(made).error();
  if (*made) return {};
  TRY(remove_group(group, after(kRemoveTime)));
  TRY_AS(const bool again, make_dir(group));
  if (!again) return fail(Code::exists, "control group '{}' appeared meanwhile; is it being started twice?", group);
  return {};
}

Result<void> make_v1(const Host& host, const std::string& mount, const std::string& name,
                     std::span<const Device> more) {
  const std::string group = group_path(mount, name);
  TRY(make_fresh(mount, name));
  if (is_on(host, "cpuset", mount)) TRY(v1::set_up_cpuset(mount, mount + "/vz", group));
  if (is_on(host, "devices", mount)) TRY(v1::set_up_devices(group, more));
  return {};
}

Result<void> make_v2(const Host& host, const std::string& name, uid_t owner, std::span<const Device> more) {
  std::vector<std::string> controllers;
  for (const std::string_view c : kGuestControllers)
    if (is_on(host, c, "")) controllers.emplace_back(c);
  const std::string parent = host.v2_mount + "/vz";
  const std::string group = group_path(host.v2_mount, name);
  const std::string guest = group + "/ct";
  TRY(v2::enable_controllers(host.v2_mount, controllers));
  TRY(make_dir(parent));
  TRY(v2::enable_controllers(parent, controllers));
  TRY(make_fresh(host.v2_mount, name));
  if (v1_devices(host).empty()) TRY(v2::set_up_devices(group, more));
  TRY(v2::enable_controllers(group, controllers));
  TRY(make_dir(guest));
  TRY(sys::write_file(guest + "/cgroup.max.depth", std::to_string(kMaxDepth - 1)));
  TRY(sys::write_file(guest + "/cgroup.max.descendants", std::to_string(kMaxDirectories - 2)));
  TRY_AS(const sys::UniqueFd dir, sys::open(guest, O_RDONLY | O_DIRECTORY));
  return v2::delegate(dir.get(), owner, owner);
}

Result<void> list_processes(const std::string& group, std::vector<pid_t>& out) {
  return walk(group, [&out](int dir, const std::string&) -> Result<void> {
    const auto text = read_value_at(dir, "cgroup.procs");
    // Gone meanwhile, or a threaded group: its processes are listed by the one that heads it.
    if (!text &&
        (text.error().sys_errno == ENOENT || text.error().sys_errno == ENODEV || text.error().sys_errno == EOPNOTSUPP))
      return {};
    if (!text) return text.error();
    for (const std::string_view line : split(*text, '\n'))
      if (const auto pid = parse_u64(line); pid && *pid > 0) out.push_back(static_cast<pid_t>(*pid));
    return {};
  });
}

}  // namespace

Group::Group(const Host& host, std::string ct_name) : host_(host), name_(std::move(ct_name)) {}

std::string Group::guest_path() const { return group_path(host_.v2_mount, name_) + "/ct"; }

bool Group::exists() const { return check_name(name_) && sys::exists(group_path(host_.v2_mount, name_)); }

Result<void> Group::create(uid_t owner, std::span<const Device> more) const {
  TRY(check_name(name_));
  Rollback undo;
  undo.add("make control groups", [self = *this] { return self.remove(); });
  TRY(create_v2(owner, more));
  TRY(create_v1(more));
  undo.commit();
  return {};
}

Result<void> Group::create_v2(uid_t owner, std::span<const Device> more) const {
  TRY(check_name(name_));
  const std::string group = group_path(host_.v2_mount, name_);
  if (read_number(group + "/cgroup.events", "populated").value_or(0) != 0)
    return fail(Code::running, "control group '{}' still holds processes; stop them first", group);
  return make_v2(host_, name_, owner, more);
}

Result<void> Group::create_v1(std::span<const Device> more) const {
  TRY(check_name(name_));
  for (const std::string& mount : v1_mounts(host_)) TRY(make_v1(host_, mount, name_, more));
  return {};
}

Result<void> Group::change_devices(std::span<const Device> before, std::span<const Device> more) const {
  TRY(check_name(name_));
  const std::string v1 = v1_devices(host_);
  if (v1.empty()) return v2::set_up_devices(group_path(host_.v2_mount, name_), more);
  return v1::change_devices(group_path(v1, name_), before, more);
}

Result<sys::UniqueFd> Group::open_for_init() const {
  TRY(check_name(name_));
  return sys::open(guest_path(), O_RDONLY | O_DIRECTORY);
}

Result<std::vector<sys::UniqueFd>> Group::open_v1_tasks() const {
  TRY(check_name(name_));
  std::vector<sys::UniqueFd> tasks;
  for (const std::string& mount : v1_mounts(host_)) {
    TRY_AS(sys::UniqueFd fd, sys::open(group_path(mount, name_) + "/tasks", O_WRONLY));
    tasks.push_back(std::move(fd));
  }
  return tasks;
}

Result<Group::Entry> Group::open_for_exec() const {
  TRY(check_name(name_));
  const std::string path = guest_path() + "/vz.exec";
  TRY_AS(const bool made, make_dir(path));
  Entry entry;
  TRY_AS(entry.v2_dir, sys::open(path, O_RDONLY | O_DIRECTORY));
  TRY_AS(entry.v1_tasks, open_v1_tasks());
  if (!made) return entry;
  TRY_AS(const struct ::stat guest, sys::stat(guest_path()));
  TRY(v2::delegate(entry.v2_dir.get(), guest.st_uid, guest.st_gid));
  return entry;
}

Result<sys::UniqueFd> Group::open_for_supervisor() const {
  const std::string path = group_path(host_.v2_mount, "supervisors");
  if (auto dir = sys::open(path, O_RDONLY | O_DIRECTORY); dir || dir.error().sys_errno != ENOENT) return dir;
  TRY(make_dir(host_.v2_mount + "/vz"));
  TRY(make_dir(path));
  return sys::open(path, O_RDONLY | O_DIRECTORY);
}

Result<void> Group::join(std::span<const sys::UniqueFd> v1_tasks) {
  for (const sys::UniqueFd& tasks : v1_tasks) {
    if (::write(tasks.get(), "0", 1) == 1) continue;
    const int err = errno;
    const auto path = sys::read_link("/proc/self/fd/" + std::to_string(tasks.get()));
    return Error::sys(err, "join '" + (path ? *path : "a control group") + "'", Code::cgroup_failed);
  }
  return {};
}

Result<std::vector<pid_t>> Group::processes() const {
  TRY(check_name(name_));
  std::vector<pid_t> out;
  TRY(list_processes(group_path(host_.v2_mount, name_), out));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());  // one that moved meanwhile
  return out;
}

Result<void> Group::remove() const {
  TRY(check_name(name_));
  const Deadline deadline = after(kRemoveTime);
  for (const std::string& mount : v1_mounts(host_)) TRY(remove_group(group_path(mount, name_), deadline));
  // Last: by it exists() tells whoever comes after one that was killed in between.
  return remove_group(group_path(host_.v2_mount, name_), deadline);
}

}  // namespace vz::cgroups
