// What the twins in v1/ and v2/ have in common.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace vz::cgroups {

inline constexpr uint32_t kDefaultCpuUnits = 1000;
inline constexpr uint64_t kCpuPeriodUs = 100000;

// Both versions of pids.max refuse more than the kernel's PID_MAX_LIMIT, which is no limit anyway.
std::string pids_value(std::optional<uint64_t> pids);
// Microseconds per period; nullopt: no limit, as 0 means to vzctl.
std::optional<uint64_t> cpu_quota_us(std::optional<uint32_t> percent);

}  // namespace vz::cgroups
