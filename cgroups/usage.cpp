#include <algorithm>
#include <array>

#include "base/strings.h"
#include "cgroups/cgroups.h"
#include "cgroups/tree.h"
#include "sys/files.h"

namespace vz::cgroups {

namespace {

struct Source {
  std::string_view file;
  std::string_view key;  // empty: the file is one number
  uint64_t unit = 1;
};
struct Row {
  uint64_t Usage::*field;
  std::string_view controller;
  Source v1, v2;
};

// cpu.stat is in every v2 directory, whether the controller is there or not.
constexpr auto kRows = std::to_array<Row>({
    {&Usage::memory, "memory", {"memory.usage_in_bytes", ""}, {"memory.current", ""}},
    {&Usage::memory_max, "memory", {"memory.max_usage_in_bytes", ""}, {"memory.peak", ""}},
    {&Usage::memory_failures, "memory", {"memory.failcnt", ""}, {"memory.events", "max"}},
    {&Usage::kernel, "memory", {"memory.kmem.usage_in_bytes", ""}, {"memory.stat", "kernel"}},
    {&Usage::swap, "memory", {"memory.memsw.usage_in_bytes", ""}, {"memory.swap.current", ""}},
    {&Usage::pids, "pids", {"pids.current", ""}, {"pids.current", ""}},
    {&Usage::pids_failures, "pids", {"pids.events", "max"}, {"pids.events", "max"}},
    {&Usage::cpu_ns, "cpuacct", {"cpuacct.usage", ""}, {"cpu.stat", "usage_usec", 1000}},
});

bool on_v1(const Host& host, std::string_view controller) {
  const Host::Controller* c = host.find(controller);
  return c && !c->v1_mount.empty();
}

// Before Linux 6.11 (which brought pids.events.local) a refused fork was counted where it was tried, not at the limit.
Result<uint64_t> pids_failures_below(const std::string& group) {
  uint64_t sum = 0;
  TRY(walk(group, [&sum](int dir, const std::string&) -> Result<void> {
    if (const auto events = read_value_at(dir, "pids.events")) sum += find_number(*events, "max").value_or(0);
    return {};
  }));
  return sum;
}

uint64_t read_row(const Host& host, const std::string& name, const Row& row) {
  const bool v1 = on_v1(host, row.controller);
  const Source& source = v1 ? row.v1 : row.v2;
  const std::string group = group_path(v1 ? host.find(row.controller)->v1_mount : host.v2_mount, name);
  return read_number(fmt::format("{}/{}", group, source.file), source.key).value_or(0) * source.unit;
}

uint64_t read_field(const Host& host, const std::string& name, uint64_t Usage::*field) {
  const auto row = std::find_if(kRows.begin(), kRows.end(), [field](const Row& r) { return r.field == field; });
  return read_row(host, name, *row);
}

// v1 counts memory and swap together against a limit of its own; without swap accounting those files are missing.
void add_v1_memory(const std::string& group, Usage& usage) {
  usage.swap -= std::min(usage.swap, usage.memory);
  usage.memory_failures += read_number(group + "/memory.memsw.failcnt").value_or(0);
  // Linux 6.18 does not count the hits of memory+swap: each kill stands for one at least.
  const uint64_t kills = read_number(group + "/memory.oom_control", "oom_kill").value_or(0);
  usage.memory_failures = std::max(usage.memory_failures, kills);
}

}  // namespace

Result<Usage> Group::usage() const {
  TRY(check_name(name_));
  const std::string v2_group = group_path(host_.v2_mount, name_);
  if (!sys::exists(v2_group))
    return fail(Code::not_found, "no control group '{}'; the container is not running", v2_group);
  Usage usage;
  for (const Row& row : kRows) usage.*row.field = read_row(host_, name_, row);
  if (on_v1(host_, "memory")) add_v1_memory(group_path(host_.find("memory")->v1_mount, name_), usage);
  if (host_.find("pids") && !on_v1(host_, "pids") && !sys::exists(v2_group + "/pids.events.local")) {
    TRY_AS(usage.pids_failures, pids_failures_below(v2_group));
  }
  return usage;
}

Result<uint64_t> Group::pids() const {
  TRY(check_name(name_));
  return read_field(host_, name_, &Usage::pids);
}

Result<Activity> Group::activity() const {
  TRY(check_name(name_));
  Activity a{.memory = read_field(host_, name_, &Usage::memory),
             .swap = read_field(host_, name_, &Usage::swap),
             .pids = read_field(host_, name_, &Usage::pids),
             .cpu_ns = read_field(host_, name_, &Usage::cpu_ns),
             .io = io("")};
  if (on_v1(host_, "memory")) a.swap -= std::min(a.swap, a.memory);
  return a;
}

// Each v2 directory has cpu.stat with these, whether the controller is there or not.
Result<CpuTimes> Group::cpu_times() const {
  TRY(check_name(name_));
  constexpr uint64_t kNsPerUs = 1000;
  TRY_AS(const std::string text, read_value(group_path(host_.v2_mount, name_) + "/cpu.stat"));
  const auto time = [&](std::string_view key) { return find_number(text, key).value_or(0) * kNsPerUs; };
  CpuTimes t{.user_ns = time("user_usec"), .nice_ns = time("nice_usec"), .system_ns = time("system_usec")};
  t.user_ns -= std::min(t.user_ns, t.nice_ns);
  return t;
}

// "8:0 rbytes=1 wbytes=2 rios=3", or "8:0 Read 1" and "8:0 Write 2".
IoBytes parse_io(std::string_view text, std::string_view device) {
  constexpr std::string_view kLoop = "7:", kRead = "rbytes=", kWritten = "wbytes=";
  IoBytes loops, others;
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = words(line);
    if (fields.size() < 3 || (!device.empty() && fields[0] != device)) continue;
    IoBytes& sum = fields[0].starts_with(kLoop) ? loops : others;
    if (fields[1] == "Read") sum.read += parse_u64(fields[2]).value_or(0);
    if (fields[1] == "Write") sum.written += parse_u64(fields[2]).value_or(0);
    for (const std::string_view f : fields) {
      if (f.starts_with(kRead)) sum.read += parse_u64(f.substr(kRead.size())).value_or(0);
      if (f.starts_with(kWritten)) sum.written += parse_u64(f.substr(kWritten.size())).value_or(0);
    }
  }
  return {std::max(loops.read, others.read), std::max(loops.written, others.written)};
}

IoBytes Group::io(std::string_view device) const {
  if (!check_name(name_)) return {};
  const std::string file = on_v1(host_, "blkio") ? group_path(host_.find("blkio")->v1_mount, name_) +
                                                       "/blkio.throttle.io_service_bytes_recursive"
                                                 : group_path(host_.v2_mount, name_) + "/io.stat";
  return parse_io(read_value(file).value_or(""), device);
}

}  // namespace vz::cgroups
