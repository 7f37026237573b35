#include "checkpoint/bound_sockets.h"

#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

#include "base/json.h"
#include "base/strings.h"
#include "runtime/inside.h"
#include "sys/channel.h"
#include "sys/files.h"
#include "sys/mountinfo.h"
#include "sys/mounts.h"
#include "sys/namespaces.h"

namespace vz::checkpoint {

namespace {

using Mount = sys::MountInfo;

// Where NAME of a file system is seen through MOUNT of a directory above it.
std::string seen_through(const Mount& mount, const std::string& name) {
  const std::string rest = mount.root == "/" ? name : name.substr(mount.root.size());
  return mount.point == "/" ? rest : mount.point + rest;
}

bool read_only(const Mount& mount) {
  const auto options = split(mount.options, ',');
  return std::find(options.begin(), options.end(), "ro") != options.end();
}

bool is_socket(pid_t pid, const std::string& path) {
  struct ::stat st {};
  return ::lstat(fmt::format("/proc/{}/root{}", pid, path).c_str(), &st) == 0 && S_ISSOCK(st.st_mode);
}

bool proper(const std::string& path) {
  const auto parts = split(path, '/');
  return path.starts_with('/') && path.size() < 4096 && path.find('\n') == std::string::npos &&
         std::find(parts.begin(), parts.end(), "..") == parts.end();
}

Result<BoundSocket> read_socket(const Json& j) {
  BoundSocket s{j.at("process").get<pid_t>(), j.at("at").get<std::string>(), j.at("path").get<std::string>(),
                j.at("name").get<std::string>(), j.at("read_only").get<bool>()};
  if (!proper(s.at) || !proper(s.path) || !proper(s.name)) return fail(Code::invalid, "bad path of a socket");
  return s;
}

// In a child that has entered the guest: no path of its leads out of there.
Result<void> bind_inside(const BoundSocket& s, int user_ns, int mount_ns) {
  TRY(sys::enter_ns(user_ns, CLONE_NEWUSER));
  TRY(sys::enter_ns(mount_ns, CLONE_NEWNS));
  TRY(runtime::become_root());
  if (sys::is_mount_point(s.at)) TRY(sys::umount_lazy(s.at));  // criu may have taken it away with the placeholder
  TRY(sys::bind(s.path, s.at));
  return s.read_only ? sys::make_read_only(s.at) : Result<void>();
}

Result<void> bind_for(const BoundSocket& s, pid_t pid) {
  TRY_AS(const sys::UniqueFd user_ns, sys::open_ns(pid, "user"));
  TRY_AS(const sys::UniqueFd mount_ns, sys::open_ns(pid, "mnt"));
  TRY_AS(sys::Channel::Pair channel, sys::Channel::make());
  TRY_AS(const sys::Forked child, sys::fork_process());
  if (child.pid == 0) {
    const auto bound = bind_inside(s, user_ns.get(), mount_ns.get());
    (void)(bound ? channel.child.post(1) : channel.child.post_error(bound.error()));
    ::_exit(0);
  }
  channel.child.close();
  auto bound = channel.parent.expect(1);
  TRY(sys::wait_child(child.pid));
  TRY(std::move(bound));
  return {};
}

std::optional<pid_t> numbered(pid_t inside, const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    const auto numbers = sys::namespace_pids(pid);
    if (numbers && numbers->back() == inside) return pid;
  }
  return std::nullopt;
}

}  // namespace

std::vector<BoundSocket> bound_files(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const std::string_view line : split(mountinfo, '\n'))
    if (auto mount = sys::parse_mount(line)) mounts.push_back(std::move(*mount));
  std::vector<BoundSocket> out;
  for (const Mount& m : mounts) {
    const auto above = std::find_if(mounts.begin(), mounts.end(), [&](const Mount& other) {
      return other.device == m.device && other.root != m.root && sys::is_within(m.root, other.root);
    });
    if (above != mounts.end()) out.push_back({0, m.point, seen_through(*above, m.root), m.root, read_only(m)});
  }
  return out;
}

Result<std::vector<BoundSocket>> bound_sockets(const std::vector<pid_t>& pids) {
  std::vector<BoundSocket> out;
  std::set<std::string> seen;
  for (const pid_t pid : pids) {
    if (!seen.insert(sys::read_link(fmt::format("/proc/{}/ns/mnt", pid)).value_or("")).second) continue;
    const auto numbers = sys::namespace_pids(pid);
    if (!numbers) continue;  // it just ended
    for (BoundSocket& s : bound_files(sys::read_file(fmt::format("/proc/{}/mountinfo", pid)).value_or(""))) {
      s.process = numbers->back();
      if (out.size() == kMostSockets) return out;
      if (is_socket(pid, s.at) && proper(s.at) && proper(s.path)) out.push_back(std::move(s));
    }
  }
  return out;
}

std::string print_sockets(const std::vector<BoundSocket>& sockets) {
  Json all = Json::array();
  for (const BoundSocket& s : sockets)
    all.push_back(
        {{"process", s.process}, {"at", s.at}, {"path", s.path}, {"name", s.name}, {"read_only", s.read_only}});
  return print_json(all);
}

Result<std::vector<BoundSocket>> parse_sockets(std::string_view text) {
  return read_json(text, [](const Json& j) -> Result<std::vector<BoundSocket>> {
    if (j.size() > kMostSockets) return fail(Code::invalid, "too many sockets");
    std::vector<BoundSocket> out;
    for (const Json& each : j) {
      TRY_AS(BoundSocket s, read_socket(each));
      out.push_back(std::move(s));
    }
    return out;
  });
}

std::string placeholders(const std::vector<BoundSocket>& sockets) {
  std::string out = "VESSEL_SOCKETS=";
  for (const BoundSocket& s : sockets) out += s.name + "\n";
  return out;
}

Result<void> bind_again(const std::vector<BoundSocket>& sockets, const std::vector<pid_t>& pids) {
  for (const BoundSocket& s : sockets) {
    const auto pid = numbered(s.process, pids);
    if (pid) TRY(bind_for(s, *pid), "socket '{}' at '{}'", printable(s.path), printable(s.at));
  }
  return {};
}

}  // namespace vz::checkpoint
