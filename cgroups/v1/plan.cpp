#include "cgroups/v1/plan.h"

#include <fmt/core.h>

#include <algorithm>

#include "cgroups/plan.h"

namespace vz::cgroups::v1 {

std::vector<Knob> plan_memory(const Limits& limits) {
  const auto value = [](std::optional<uint64_t> bytes) { return bytes ? std::to_string(*bytes) : "-1"; };
  std::optional<uint64_t> both;
  if (limits.memory && limits.swap) both = *limits.memory + std::min(*limits.swap, UINT64_MAX - *limits.memory);
  return {{"memory", "memory.limit_in_bytes", value(limits.memory), !limits.memory},
          {"memory", "memory.memsw.limit_in_bytes", value(both), true}};
}

std::vector<Knob> plan_pids(const Limits& limits) {
  return {{"pids", "pids.max", pids_value(limits.pids), !limits.pids}};
}

std::vector<Knob> plan_cpu(const Limits& limits) {
  const uint64_t units = limits.cpu_units.value_or(kDefaultCpuUnits);
  const auto quota = cpu_quota_us(limits.cpu_percent);
  return {
      {"cpu", "cpu.shares", std::to_string(std::clamp<uint64_t>(units * 1024 / 1000, 2, 262144)), !limits.cpu_units},
      {"cpu", "cpu.cfs_period_us", std::to_string(kCpuPeriodUs), !quota},
      {"cpu", "cpu.cfs_quota_us", quota ? std::to_string(*quota) : "-1", !quota}};
}

// Here what is written back later, by nobody in particular, is not counted (cgroup-v1/blkio-controller.rst).
std::vector<Knob> plan_io(const Limits& limits) {
  std::vector<Knob> out;
  if (limits.io_weight) out.push_back({"blkio", "blkio.bfq.weight", std::to_string(*limits.io_weight), true});
  if (!limits.io) return out;
  const auto add = [&](const char* file, uint64_t value) {
    out.push_back({"blkio", file, fmt::format("{} {}", limits.io->device, value), value == 0});
  };
  add("blkio.throttle.read_bps_device", limits.io->bytes);
  add("blkio.throttle.write_bps_device", limits.io->bytes);
  add("blkio.throttle.read_iops_device", limits.io->operations);
  add("blkio.throttle.write_iops_device", limits.io->operations);
  return out;
}

}  // namespace vz::cgroups::v1
