// Texts of /proc/vz and /proc/bc of an OpenVZ kernel, but for beancounters (config/ubc.h) and quotas (disk_quota.h).
// Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cgroups/cgroups.h"
#include "config/config.h"
#include "config/ubc.h"
#include "net/net.h"

namespace vz::runtime {

// vestat. How long it waited for a processor, and how often, no kernel counts for a group: these columns are 0.
struct VeTimes {
  config::CtId id = 0;
  cgroups::CpuTimes cpu;
  uint64_t used_ns = 0, uptime_ns = 0, idle_ns = 0;  // idle: of all processors
};
std::string print_vestat(const std::vector<VeTimes>& all, uint64_t ticks_per_second);

struct VeInfo {
  config::CtId id = 0;
  uint64_t processes = 0;
  std::vector<config::IpAddress> addresses;
};
std::string print_veinfo(const std::vector<VeInfo>& all);
std::string print_veip(const std::vector<VeInfo>& all);

struct VeLinks {
  config::CtId id = 0;
  std::vector<net::Veth> veths;
};
std::string print_veth(const std::vector<VeLinks>& all);

std::string print_ioacct(const cgroups::IoBytes& io);

// The beancounters of CT 0: what MEMINFO (/proc/meminfo) and LOADAVG (/proc/loadavg) tell of the whole machine, less
// what CONTAINERS hold of it. No limits.
config::UbcTable host_beancounters(std::string_view meminfo, std::string_view loadavg,
                                   const std::vector<config::UbcTable>& containers);

}  // namespace vz::runtime
