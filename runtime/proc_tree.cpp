#include "runtime/proc_tree.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/strings.h"
#include "runtime/beans.h"
#include "runtime/disk_quota.h"
#include "runtime/proc_text.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

using config::CtId;
using Tables = std::vector<config::UbcTable>;

// ---- texts --------------------------------------------------------------------------------------------------------

Result<config::UbcTable> table_of_host(const Tables& containers) {
  TRY_AS(const std::string meminfo, sys::read_file("/proc/meminfo"));
  TRY_AS(const std::string loadavg, sys::read_file("/proc/loadavg"));
  return host_beancounters(meminfo, loadavg, containers);
}

Result<Tables> all_tables(const Host& host) {
  TRY_AS(const auto running, running_containers(host));
  Tables out;
  for (const Occupant& o : running) out.push_back(ubc_of(o));
  TRY_AS(config::UbcTable of_host, table_of_host(out));
  out.push_back(std::move(of_host));
  return out;
}

Result<Occupant> occupant(const Host& host, CtId id) {
  TRY_AS(Occupant o, look_at(host, id));
  if (!o.running) return fail(Code::not_found, "CT {} does not run", id);
  return o;
}

Result<std::string> user_beancounters(const Host& host, CtId) {
  TRY_AS(const Tables tables, all_tables(host));
  return config::print_user_beancounters(tables);
}

Result<std::string> all_resources(const Host& host, CtId) {
  TRY_AS(const Tables tables, all_tables(host));
  return config::print_ubc(tables);
}

Result<std::string> ct_resources(const Host& host, CtId id) {
  if (id == 0) {
    TRY_AS(const Tables tables, all_tables(host));
    return config::print_ubc(tables.back());
  }
  TRY_AS(const Occupant o, occupant(host, id));
  return config::print_ubc(ubc_of(o));
}

// Where it has a device of its own, what goes on from there to the host's disk is the same bytes again.
Result<std::string> ioacct(const Host& host, CtId id) {
  TRY_AS(const Occupant o, occupant(host, id));
  TRY_AS(const cgroups::Group group, group_of(o.ct));
  return print_ioacct(group.io(storage::block_device(o.ct.area).value_or("")));
}

uint64_t nanoseconds_since(int64_t second) {
  constexpr int64_t kNsPerSecond = 1'000'000'000;
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(std::max<int64_t>(0, (now.tv_sec - second) * kNsPerSecond + now.tv_nsec));
}

Result<std::string> vestat(const Host& host, CtId) {
  TRY_AS(const auto running, running_containers(host));
  const auto processors = static_cast<uint64_t>(std::max(1l, ::sysconf(_SC_NPROCESSORS_ONLN)));
  std::vector<VeTimes> all;
  for (const Occupant& o : running) {
    const auto state = state::running(host.paths, o.ct.id);
    const auto group = group_of(o.ct);
    const auto cpu = group ? group->cpu_times() : group.error();
    if (!state || !cpu) continue;  // it ended meanwhile
    VeTimes v{.id = o.ct.id,
              .cpu = *cpu,
              .used_ns = cpu->user_ns + cpu->nice_ns + cpu->system_ns,
              .uptime_ns = nanoseconds_since(state->since)};
    v.idle_ns = v.uptime_ns * processors - std::min(v.uptime_ns * processors, v.used_ns);
    all.push_back(v);
  }
  return print_vestat(all, static_cast<uint64_t>(std::max(1l, ::sysconf(_SC_CLK_TCK))));
}

std::vector<config::IpAddress> routed_addresses(const Container& ct) {
  return ct.network.routed ? ct.network.routed->addresses : std::vector<config::IpAddress>();
}

Result<std::string> veinfo(const Host& host, CtId) {
  TRY_AS(const auto running, running_containers(host));
  std::vector<VeInfo> all;
  Tables tables;
  for (const Occupant& o : running) {
    all.push_back({o.ct.id, o.usage ? o.usage->pids : 0, routed_addresses(o.ct)});
    tables.push_back(ubc_of(o));
  }
  TRY_AS(const config::UbcTable of_host, table_of_host(tables));
  all.push_back({0, of_host.find("numproc")->held, {}});
  return print_veinfo(all);
}

Result<std::string> veip(const Host& host, CtId) {
  TRY_AS(const auto running, running_containers(host));
  std::vector<VeInfo> all;
  for (const Occupant& o : running) all.push_back({o.ct.id, 0, routed_addresses(o.ct)});
  return print_veip(all);
}

Result<std::string> veth(const Host& host, CtId) {
  TRY_AS(const auto running, running_containers(host));
  std::vector<VeLinks> all;
  for (const Occupant& o : running) all.push_back({o.ct.id, o.ct.network.veths});
  return print_veth(all);
}

Result<std::string> vzquota(const Host& host, CtId) {
  TRY_AS(const auto ids, state::all(host.paths));
  std::string out = quota_proc_header();
  for (const CtId id : ids) {
    const auto ct = load_container(host, id);
    if (!ct || !storage::is_mounted(ct->area)) continue;
    if (const auto quota = disk_quota(*ct)) out += quota_proc_entry(id, ct->area.private_dir, *quota);
  }
  return out;
}

Result<std::string> vswap(const Host&, CtId) { return std::string("Version: 1.0\n"); }

Result<std::string> version(const Host&, CtId) {
  utsname name{};
  if (::uname(&name) != 0) return fail_sys(errno, "uname");
  return fmt::format("{}\n", name.release);
}

// ---- the tree -----------------------------------------------------------------------------------------------------

using ProcMake = Result<std::string> (*)(const Host& host, CtId id);

// OpenVZ's rights: what tells of containers is root's.
constexpr mode_t kProcDir = S_IFDIR | 0555, kForRoot = S_IFREG | 0400, kForAll = S_IFREG | 0444;
constexpr uint64_t kProcVz = 2, kProcBc = 3;

struct ProcRow {
  uint64_t number, parent;
  std::string_view name;
  mode_t mode;
  ProcMake make = nullptr;
};
constexpr auto kProcTree = std::to_array<ProcRow>({
    {kProcRoot, kProcRoot, "", kProcDir},
    {kProcVz, kProcRoot, "vz", kProcDir},
    {kProcBc, kProcRoot, "bc", kProcDir},
    {4, kProcRoot, "user_beancounters", kForRoot, user_beancounters},
    {5, kProcVz, "vestat", kForRoot, vestat},
    {6, kProcVz, "veinfo", kForRoot, veinfo},
    {7, kProcVz, "veip", kForRoot, veip},
    {8, kProcVz, "veth", kForRoot, veth},
    {9, kProcVz, "vzquota", kForRoot, vzquota},
    {10, kProcVz, "vswap", kForAll, vswap},
    {11, kProcVz, "version", kForAll, version},
    {12, kProcBc, "resources", kForRoot, all_resources},
});

// Of a container, in bc/CTID: its number is that of the directory and the row's. Number 0 is the directory itself.
constexpr uint64_t kOfCt = 256;
constexpr auto kProcCtTree = std::to_array<ProcRow>({
    {0, 0, "", kProcDir},
    {1, 0, "resources", kForRoot, ct_resources},
    {2, 0, "ioacct", kForRoot, ioacct},
});
// Nobody counts what the host itself reads and writes apart from its containers.
constexpr bool is_of_host(const ProcRow& row) { return row.number != 2; }

constexpr uint64_t number_of(CtId id) { return (uint64_t{id} + 1) * kOfCt; }

std::optional<CtId> ct_of(uint64_t number) {
  if (number < kOfCt || number / kOfCt - 1 > config::kMaxCtId) return std::nullopt;
  return static_cast<CtId>(number / kOfCt - 1);
}

bool is_shown(const state::Paths& paths, CtId id) { return id == 0 || state::running(paths, id).has_value(); }

const ProcRow* row_of(uint64_t number) {
  const auto ct = ct_of(number);
  const std::span<const ProcRow> rows =
      ct ? std::span<const ProcRow>(kProcCtTree) : std::span<const ProcRow>(kProcTree);
  const auto it = std::find_if(rows.begin(), rows.end(), [&](const ProcRow& r) { return r.number == number % kOfCt; });
  if (it == rows.end() || (ct == CtId{0} && !is_of_host(*it))) return nullptr;
  return &*it;
}

ProcNode node_of(uint64_t number, const ProcRow& row) {
  const bool ct_dir = number >= kOfCt && row.number == 0;
  return {number, ct_dir ? std::to_string(number / kOfCt - 1) : std::string(row.name), row.mode};
}

}  // namespace

std::optional<ProcNode> proc_node(const state::Paths& paths, uint64_t number) {
  const ProcRow* row = row_of(number);
  const auto ct = ct_of(number);
  if (!row || (ct && !is_shown(paths, *ct))) return std::nullopt;
  return node_of(number, *row);
}

std::optional<ProcNode> proc_child(const state::Paths& paths, uint64_t dir, std::string_view name) {
  if (const auto ct = ct_of(dir)) {
    for (const ProcRow& row : kProcCtTree)
      if (dir % kOfCt == 0 && row.number != 0 && row.name == name) return proc_node(paths, number_of(*ct) + row.number);
    return std::nullopt;
  }
  for (const ProcRow& row : kProcTree)
    if (row.number != kProcRoot && row.parent == dir && row.name == name) return node_of(row.number, row);
  const auto id = dir == kProcBc ? parse_u64(name) : std::nullopt;
  if (!id || *id > config::kMaxCtId || std::to_string(*id) != name) return std::nullopt;
  return proc_node(paths, number_of(static_cast<CtId>(*id)));
}

std::optional<ProcNode> proc_find(const state::Paths& paths, std::string_view path) {
  auto node = proc_node(paths, kProcRoot);
  for (const std::string_view name : split(path, '/'))
    if (node && !name.empty()) node = proc_child(paths, node->number, name);
  return node;
}

std::vector<ProcNode> proc_list(const state::Paths& paths, uint64_t dir) {
  std::vector<ProcNode> out;
  if (const auto ct = ct_of(dir)) {
    for (const ProcRow& row : kProcCtTree)
      if (const auto node = proc_node(paths, number_of(*ct) + row.number); node && row.number != 0)
        out.push_back(*node);
    return out;
  }
  for (const ProcRow& row : kProcTree)
    if (row.number != kProcRoot && row.parent == dir) out.push_back(node_of(row.number, row));
  if (dir != kProcBc) return out;
  // Not those that are configured: /etc may be a server's, and nobody waits for that here.
  std::vector<CtId> ids = {0};
  for (const std::string& entry : sys::list_dir(paths.run_dir).value_or({}))
    if (const auto id = parse_u64(entry); id && *id <= config::kMaxCtId) ids.push_back(static_cast<CtId>(*id));
  std::sort(ids.begin(), ids.end());
  for (const CtId id : ids)
    if (const auto node = proc_node(paths, number_of(id))) out.push_back(*node);
  return out;
}

Result<std::string> proc_text(uint64_t number) {
  const ProcRow* row = row_of(number);
  if (!row || !row->make) return fail(Code::not_found, "there is no such file");
  TRY_AS(const Host host, load_host());
  return row->make(host, ct_of(number).value_or(0));
}

}  // namespace vz::runtime
