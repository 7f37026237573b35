#include "cli/top/sample.h"

#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>

#include "base/strings.h"
#include "runtime/occupants.h"
#include "runtime/status.h"
#include "sys/files.h"

namespace vz::cli::top {

namespace {

constexpr uint64_t kKiB = 1024;
// How full a disk is changes slowly, and asking for it is dear.
constexpr std::chrono::seconds kDiskAge{10};

void note_version(const std::string& path, int64_t* version) {
  struct ::stat st {};
  if (::stat(path.c_str(), &st) != 0) return;
  version[0] = st.st_mtim.tv_sec;
  version[1] = st.st_mtim.tv_nsec;
  version[2] = static_cast<int64_t>(st.st_ino);
}

const char* status_word(const runtime::Host& host, const runtime::Container& ct) {
  const runtime::Status status = runtime::status_of(host, ct, false);
  return status.mounted ? "mounted" : status.suspended ? "suspended" : "stopped";
}

// Both ends of a pair count: what the host's end has sent, the container has received.
Bytes traffic_of(const net::Plan& plan, const std::map<std::string, Bytes, std::less<>>& devices) {
  Bytes sum;
  const auto add = [&](const std::string& host_name) {
    const auto it = devices.find(host_name);
    if (it == devices.end()) return;
    sum.received += it->second.sent;
    sum.sent += it->second.received;
  };
  for (const net::Veth& v : plan.veths) add(v.host_name);
  if (plan.routed) add(plan.routed->veth.host_name);
  return sum;
}

std::string read_small(int dir, const std::string& path) {
  const sys::UniqueFd fd{::openat(dir, path.c_str(), O_RDONLY | O_CLOEXEC)};
  char text[1024];
  const ssize_t n = fd ? ::read(fd.get(), text, sizeof text) : -1;
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : std::string();
}

}  // namespace

Result<HostSample> read_host() {
  TRY_AS(const std::string uptime, sys::read_file("/proc/uptime"));
  TRY_AS(const std::string loadavg, sys::read_file("/proc/loadavg"));
  TRY_AS(const std::string stat, sys::read_file("/proc/stat"));
  TRY_AS(const std::string meminfo, sys::read_file("/proc/meminfo"));
  return parse_host(uptime, loadavg, stat, meminfo);
}

// ---- containers ---------------------------------------------------------------------------------------------------

Result<Reader::Known*> Reader::known(config::CtId id) {
  std::array<int64_t, 6> version{};
  note_version(host_.paths.conf(id), &version[0]);
  note_version(host_.paths.run(id), &version[3]);  // notes are replaced in it
  const auto it = containers_.find(id);
  if (it != containers_.end() && it->second.version == version) return &it->second;
  TRY_AS(const runtime::Container stored, runtime::load_container(host_, id));
  TRY_AS(runtime::Container live, runtime::live_container(host_, stored));
  Known& k = containers_[id];
  k = Known{.version = version, .ct = std::move(live), .limits = {}, .disk_time = {}, .disk = {}, .disk_limit = {}};
  k.limits = k.ct.limits().value_or({});
  return &k;
}

std::optional<CtSample> Reader::container(config::CtId id, bool all,
                                          const std::map<std::string, Bytes, std::less<>>& devices) {
  const auto running = state::running(host_.paths, id);
  if (!running && !all) return std::nullopt;
  const auto found = known(id);
  if (!found) return std::nullopt;  // removed meanwhile
  Known& k = **found;
  CtSample s{.id = id, .name = k.ct.spec.name.value_or(""), .hostname = k.ct.hostname()};
  s.memory_limit = k.limits.memory;
  s.swap_limit = k.limits.swap;
  s.processes_limit = k.limits.pids;
  s.status = !running ? status_word(host_, k.ct) : running->phase == "checkpointed" ? "frozen" : "running";
  if (running) {
    const auto group = runtime::group_of(k.ct);
    const auto activity = group ? group->activity() : group.error();
    if (activity) s.used = *activity;
    s.network = traffic_of(k.ct.network, devices);
  }
  const auto now = Clock::now();
  if (k.disk_time == Clock::time_point() || now - k.disk_time >= kDiskAge) {
    const auto usage = storage::usage(k.ct.area);
    k.disk = usage ? std::optional(usage->space_kib * kKiB) : std::nullopt;
    k.disk_limit = usage ? std::optional(usage->space_limit_kib * kKiB) : std::nullopt;
    k.disk_time = now;
  }
  s.disk = k.disk;
  s.disk_limit = k.disk_limit;
  return s;
}

Result<CtSamples> Reader::containers(bool all) {
  TRY_AS(const auto ids, state::all(host_.paths));
  const auto text = sys::read_file("/proc/net/dev");
  const auto devices = parse_devices(text ? std::string_view(*text) : std::string_view());
  CtSamples out{.time = Clock::now(), .all = {}};
  for (const config::CtId id : ids)
    if (auto s = container(id, all, devices)) out.all.push_back(std::move(*s));
  return out;
}

// ---- processes ----------------------------------------------------------------------------------------------------

Result<std::vector<pid_t>> Reader::pids(std::optional<config::CtId> only) const {
  if (only && *only != 0) {
    runtime::Container named;
    named.id = *only;
    TRY_AS(const cgroups::Group group, runtime::group_of(named));
    return group.exists() ? group.processes() : std::vector<pid_t>();
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (!proc) return fail_sys(errno, "open '/proc'");
  std::vector<pid_t> out;
  while (const dirent* entry = ::readdir(proc.get()))
    if (const auto pid = parse_u64(entry->d_name)) out.push_back(static_cast<pid_t>(*pid));
  return out;
}

std::optional<ProcessSample> Reader::process_at(int proc, pid_t pid) {
  static const auto kPage = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::string dir = std::to_string(pid);
  struct ::stat owner {};
  if (::fstatat(proc, dir.c_str(), &owner, 0) != 0) return std::nullopt;
  auto p = parse_process(read_small(proc, dir + "/stat"), kPage);
  if (!p) return std::nullopt;
  // A process does not leave its container. A host's may still enter one: the restore of a dump puts them there.
  Place& place = places_[pid];
  if (place.started != p->started || place.ct == 0) {
    const auto ct = cgroups::container_of(pid);
    if (!ct) return std::nullopt;
    place = {p->started, *ct};
  }
  p->ct = place.ct;
  p->uid = owner.st_uid;
  const sys::IdRange ids{.first = state::first_id(p->ct)};
  if (p->ct == 0 || p->uid < ids.first || p->uid - ids.first >= ids.count) return p;
  p->uid -= ids.first;
  p->uid_of_host = false;
  return p;
}

std::optional<ProcessSample> Reader::process(pid_t pid) {
  const sys::UniqueFd proc{::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC)};
  return process_at(proc.get(), pid);
}

Result<ProcessSamples> Reader::processes(std::optional<config::CtId> only) {
  TRY_AS(const std::vector<pid_t> all, pids(only));
  TRY_AS(const sys::UniqueFd proc, sys::open("/proc", O_PATH | O_DIRECTORY));
  ProcessSamples out{.time = Clock::now(), .all = {}};
  std::unordered_map<pid_t, Place> alive;  // of those that have ended nothing is remembered
  for (const pid_t pid : all) {
    auto p = process_at(proc.get(), pid);
    if (!p) continue;
    alive.emplace(pid, places_[pid]);
    if (!only || p->ct == *only) out.all.push_back(std::move(*p));
  }
  places_.swap(alive);
  return out;
}

const std::string& user_name(uid_t uid) {
  static std::unordered_map<uid_t, std::string> names;
  const auto [it, is_new] = names.try_emplace(uid);
  if (!is_new) return it->second;
  const passwd* user = ::getpwuid(uid);
  return it->second = user ? user->pw_name : std::to_string(uid);
}

std::vector<std::string> command_line(pid_t pid) {
  constexpr size_t kMost = 1u << 16;
  const sys::UniqueFd fd{::open(fmt::format("/proc/{}/cmdline", pid).c_str(), O_RDONLY | O_CLOEXEC)};
  std::string text(kMost, '\0');
  const ssize_t n = fd ? ::read(fd.get(), text.data(), text.size()) : -1;
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  text.erase(text.find_last_not_of('\0') + 1);  // programs that rename themselves leave many
  std::vector<std::string> out;
  for (const std::string_view word : split(text, '\0')) out.emplace_back(word);
  return out;
}

}  // namespace vz::cli::top
