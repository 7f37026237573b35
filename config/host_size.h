// What a host has to share out among its containers.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace vz::config {

struct HostSize {
  uint64_t ram = 0, swap = 0;  // bytes
  uint64_t low = 0;            // bytes that the kernel can use for itself: all of RAM but on old 32-bit kernels
  uint64_t threads = 0;
  bool operator==(const HostSize&) const = default;
};
// From the text of /proc/meminfo and of /proc/sys/kernel/threads-max. Code::invalid.
Result<HostSize> parse_host_size(std::string_view meminfo, std::string_view threads_max);

// From the text of /proc/cpuinfo: 25 for each BogoMIPS, which is what 8..500000 CPU units were once made to fit. 0: the
// kernel tells of none.
uint64_t parse_cpu_power(std::string_view cpuinfo);

}  // namespace vz::config
