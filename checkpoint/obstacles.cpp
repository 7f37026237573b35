#include "checkpoint/obstacles.h"

#include <sys/xattr.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <set>
#include <thread>

#include "base/strings.h"
#include "checkpoint/criu.h"
#include "checkpoint/foreign_mounts.h"
#include "runtime/netdevs.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::checkpoint {

namespace {

std::optional<pid_t> parent_of(pid_t pid) {
  const auto text = sys::read_file(fmt::format("/proc/{}/stat", pid));
  if (!text) return std::nullopt;
  const auto fields = words(std::string_view(*text).substr(std::min(text->rfind(')'), text->size() - 1) + 1));
  const auto parent = fields.size() > 1 ? parse_u64(fields[1]) : std::nullopt;
  return parent ? std::optional(static_cast<pid_t>(*parent)) : std::nullopt;
}

// The innermost of its control groups that is called as units are.
std::string unit_of(pid_t pid) {
  std::string unit;
  const std::string text = sys::read_file(fmt::format("/proc/{}/cgroup", pid)).value_or("");
  for (const std::string_view line : split(text, '\n')) {
    if (!line.starts_with("0::")) continue;
    for (const std::string_view part : split(line.substr(3), '/'))
      if (part.ends_with(".service") || part.ends_with(".scope")) unit = printable(part);
  }
  return unit;
}

// Entered from outside: its line of parents does not end at init. criu dumps a tree.
bool entered(pid_t pid, pid_t init, const std::set<pid_t>& members) {
  while (pid != init) {
    const auto parent = parent_of(pid);
    if (!parent) return false;  // it just ended
    if (*parent != init && !members.contains(*parent)) return true;
    pid = *parent;
  }
  return false;
}

constexpr int kMostTries = 20;
constexpr std::chrono::milliseconds kPause{10};

// What a descriptor is, as far as criu minds.
enum class Kind { fine, pidfd, foreign };
struct Descriptor {
  Kind kind = Kind::fine;
  std::string what = {};  // foreign: what it is
};

// Source: criu/files.c and sk-inet.c of CRIU 4.2.
constexpr std::string_view kDumpedInodes[] = {"anon_inode:[eventfd]",  "anon_inode:[eventpoll]", "anon_inode:inotify",
                                              "anon_inode:[fanotify]", "anon_inode:[signalfd]",  "anon_inode:[timerfd]",
                                              "anon_inode:bpf-map"};
constexpr std::string_view kDumpedProtocols[] = {"TCP",       "TCPv6",       "UDP",     "UDPv6", "UDP-Lite",
                                                 "UDPLITEv6", "PING",        "RAW",     "RAWv6", "PINGv6",
                                                 "UNIX",      "UNIX-STREAM", "NETLINK", "PACKET"};

template <class Table>
bool among(const Table& table, std::string_view name) {
  return std::find(std::begin(table), std::end(table), name) != std::end(table);
}

// The kernel has no handle for a control group that has just been removed, and criu no use for a watch without one.
// systemd takes its watch away a moment later.
bool watches_removed(const std::string& fdinfo) {
  const std::string text = sys::read_file(fdinfo).value_or("");
  const auto lines = split(text, '\n');
  return std::any_of(lines.begin(), lines.end(), [](std::string_view line) {
    return line.starts_with("inotify ") && line.find(" fhandle-bytes:") == std::string_view::npos;
  });
}

Descriptor look_at(const std::string& process, const std::string& fd) {
  const std::string path = fmt::format("{}/fd/{}", process, fd);
  const std::string link = sys::read_link(path).value_or("");
  // pidfs (Linux 6.9) calls them "pidfd:[INODE]".
  if (link == "anon_inode:[pidfd]" || link.starts_with("pidfd:")) return {Kind::pidfd};
  if (link == "anon_inode:inotify" && watches_removed(fmt::format("{}/fdinfo/{}", process, fd)))
    return {Kind::foreign, "watch on a file that was removed (inotify)"};
  if (link.starts_with("anon_inode:") && !among(kDumpedInodes, link))
    return {Kind::foreign, printable(link.substr(11))};
  if (!link.starts_with("socket:")) return {};
  std::array<char, 64> name{};
  if (::getxattr(path.c_str(), "system.sockprotoname", name.data(), name.size() - 1) <= 0) return {};
  if (among(kDumpedProtocols, std::string_view(name.data()))) return {};
  return {Kind::foreign, fmt::format("socket of protocol {}", printable(name.data()))};
}

// Since 4.1.
bool dumps_pidfds(std::string_view criu) {
  const auto parts = split(criu, '.');
  const uint64_t major = parse_u64(parts[0]).value_or(0);
  return major > 4 || (major == 4 && parts.size() > 1 && parse_u64(parts[1]).value_or(0) >= 1);
}

struct Found {
  std::vector<Obstacle> foreign;
  std::optional<pid_t> pidfd_holder;  // Debian 13's systemd has one for each service: the first is enough
};

Found look_at_descriptors(const std::vector<pid_t>& pids) {
  Found found;
  for (const pid_t pid : pids) {
    const std::string process = fmt::format("/proc/{}", pid);
    std::set<std::string> seen;
    for (const std::string& fd : sys::list_dir(process + "/fd").value_or({})) {
      const Descriptor d = look_at(process, fd);
      if (d.kind == Kind::pidfd && !found.pidfd_holder) found.pidfd_holder = pid;
      if (d.kind != Kind::foreign || !seen.insert(d.what).second) continue;
      found.foreign.push_back({.pid = pid,
                               .why = fmt::format("has a {}, which criu cannot dump", d.what),
                               .remedy = "stop it, or set it up to do without"});
    }
  }
  return found;
}

std::string remedy_for(const ForeignMount& m, const runtime::Container& ct, pid_t init) {
  if (m.pid != init) return "restart it, or stop the CT instead";
  if (m.point.starts_with("/dev/") && (ct.spec.devnodes || ct.spec.devices))
    return fmt::format("take it away by vzctl set {} --devnodes or --devices, or stop the CT instead", ct.id);
  return "unmount it in the CT, or stop the CT instead";
}

}  // namespace

std::string text(const Obstacle& o) {
  const std::string unit = o.unit.empty() ? "" : ", " + o.unit;
  return fmt::format("process {} ({}{}) {}: {}", o.pid, o.command, unit, o.why, o.remedy);
}

Result<std::vector<Obstacle>> obstacles(const runtime::Host& host, const runtime::Container& ct) {
  const auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "Unable to setup checkpointing: container is not running");
  TRY_AS(cgroups::Group group, runtime::group_of(ct));
  TRY_AS(std::vector<pid_t> pids, group.processes());
  const std::set<pid_t> members(pids.begin(), pids.end());
  Found found = look_at_descriptors(pids);
  for (int tries = 0; !found.foreign.empty() && tries < kMostTries; ++tries) {  // it may be over in a moment
    std::this_thread::sleep_for(kPause);
    found = look_at_descriptors(pids);
  }
  std::vector<Obstacle> out = std::move(found.foreign);
  TRY_AS(const std::vector<ForeignMount> mounts, foreign_mounts(running->init, pids, host.paths.run_dir));
  for (const ForeignMount& m : mounts)
    out.push_back({.pid = m.pid,
                   .why = fmt::format("has a mount of the host's on '{}', which criu cannot bring back", m.point),
                   .remedy = remedy_for(m, ct, running->init)});
  for (const std::string& name : runtime::lent_netdevs(host, ct.id))
    out.push_back({.pid = running->init,
                   .why = fmt::format("has the host's network device '{}' (NETDEV), which stays with the host", name),
                   .remedy = fmt::format("take it back by vzctl set {} --netdev_del {}", ct.id, name)});
  for (const pid_t pid : pids)
    if (entered(pid, running->init, members))
      out.push_back({.pid = pid, .why = "was entered from outside (vzctl exec or enter)", .remedy = "close it first"});
  if (found.pidfd_holder) {
    TRY_AS(const std::string program, criu_program(host));
    TRY_AS(const std::string version, criu_version(program));
    if (!dumps_pidfds(version))
      out.push_back({.pid = *found.pidfd_holder,
                     .why = fmt::format("holds a pidfd, which criu {} cannot dump", version),
                     .remedy = "it takes criu 4.1"});
  }
  for (Obstacle& o : out) {
    o.command = sys::command_name(o.pid);
    o.unit = unit_of(o.pid);
  }
  return out;
}

}  // namespace vz::checkpoint
