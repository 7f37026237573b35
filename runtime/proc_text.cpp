#include "runtime/proc_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"

namespace vz::runtime {

std::string print_vestat(const std::vector<VeTimes>& all, uint64_t ticks_per_second) {
  constexpr auto kColumns = std::to_array<std::string_view>(
      {"VEID", "user", "nice", "system", "uptime", "idle", "strv", "uptime", "used", "maxlat", "totlat", "numsched"});
  constexpr int kWidth = 20;
  const auto ticks = [&](uint64_t ns) { return ns / (1'000'000'000 / ticks_per_second); };
  const auto row = [kWidth](const auto& cells) {
    std::string line;
    for (const auto& cell : cells) line += fmt::format("{}{:>{}}", line.empty() ? "" : " ", cell, kWidth);
    return line + "\n";
  };
  const std::string header = row(kColumns);
  std::string out = fmt::format("{:<{}}\n", "Version: 2.2", header.size() - 1) + header;
  for (const VeTimes& v : all)
    out += row(std::to_array<uint64_t>({v.id, ticks(v.cpu.user_ns), ticks(v.cpu.nice_ns), ticks(v.cpu.system_ns),
                                        ticks(v.uptime_ns), v.idle_ns, 0, v.uptime_ns, v.used_ns, 0, 0, 0}));
  return out;
}

std::string print_veinfo(const std::vector<VeInfo>& all) {
  constexpr int kClass = 0, kV4 = 15, kV6 = 39;
  std::string out;
  for (const VeInfo& v : all) {
    out += fmt::format("{:>10} {:>5} {:>5}", v.id, kClass, v.processes);
    for (const config::IpAddress& a : v.addresses) out += fmt::format(" {:>{}}", a.address, a.v6 ? kV6 : kV4);
    out += '\n';
  }
  return out;
}

std::string print_veip(const std::vector<VeInfo>& all) {
  std::string out = "Version: 2.5\n";
  for (const VeInfo& v : all)
    for (const config::IpAddress& a : v.addresses) out += fmt::format("{:>39} 0\n", a.address);
  return out;
}

std::string print_veth(const std::vector<VeLinks>& all) {
  std::string out = "Version: 1.0\n";
  for (const VeLinks& v : all)
    for (const net::Veth& link : v.veths)
      out += fmt::format("{} {:>16} {} {:>16} {:>10} {:>5}\n", to_lower(link.host_mac), link.host_name,
                         to_lower(link.ct_mac), link.ct_name, v.id, "allow");
  return out;
}

std::string print_ioacct(const cgroups::IoBytes& io) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"read", "write", "dirty", "cancel", "missed", "syncs_total", "fsyncs_total", "fdatasyncs_total",
       "range_syncs_total", "syncs_active", "fsyncs_active", "fdatasyncs_active", "range_syncs_active", "io_pbs",
       "fuse_requests", "fuse_bytes"});
  std::string out;
  for (const std::string_view name : kNames)
    out += fmt::format("\t{:<20} {:>21}\n", name, name == "read" ? io.read : name == "write" ? io.written : 0);
  return out;
}

config::UbcTable host_beancounters(std::string_view meminfo, std::string_view loadavg,
                                   const std::vector<config::UbcTable>& containers) {
  const auto kib = [&](std::string_view key) { return find_number(meminfo, key).value_or(0); };
  const auto less = [](uint64_t a, uint64_t b) { return a - std::min(a, b); };
  // "0.10 0.20 0.30 2/345 6789": threads that run, and all.
  const auto fields = words(loadavg);
  const auto threads = fields.size() > 3 ? split(fields[3], '/') : std::vector<std::string_view>();
  const uint64_t all_threads = threads.size() == 2 ? parse_u64(threads[1]).value_or(0) : 0;
  constexpr uint64_t kKiB = 1024;
  const std::pair<std::string_view, uint64_t> whole[] = {
      {"kmemsize", (kib("Slab:") + kib("KernelStack:") + kib("PageTables:")) * kKiB},
      {"numproc", all_threads},
      {"physpages", less(kib("MemTotal:"), kib("MemFree:")) * kKiB / config::kPageSize},
      {"swappages", less(kib("SwapTotal:"), kib("SwapFree:")) * kKiB / config::kPageSize},
  };
  config::UbcTable table{"0", {}};
  for (const auto& [name, held] : whole) {
    uint64_t rest = held;
    for (const config::UbcTable& ct : containers)
      if (const config::UbcRow* row = ct.find(name)) rest = less(rest, row->held);
    table.rows.push_back({std::string(name), rest, rest, config::kUnlimited, config::kUnlimited, 0});
  }
  return table;
}

}  // namespace vz::runtime
