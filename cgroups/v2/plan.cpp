#include "cgroups/v2/plan.h"

#include <fmt/core.h>

#include <algorithm>

#include "cgroups/plan.h"

namespace vz::cgroups::v2 {

std::vector<Knob> plan_memory(const Limits& limits) {
  const auto value = [](std::optional<uint64_t> bytes) { return bytes ? std::to_string(*bytes) : "max"; };
  return {{"memory", "memory.max", value(limits.memory), !limits.memory},
          {"memory", "memory.swap.max", value(limits.swap), true}};
}

std::vector<Knob> plan_pids(const Limits& limits) {
  return {{"pids", "pids.max", pids_value(limits.pids), !limits.pids}};
}

std::vector<Knob> plan_cpu(const Limits& limits) {
  const uint64_t weight = limits.cpu_units.value_or(kDefaultCpuUnits) / 10;
  const auto quota = cpu_quota_us(limits.cpu_percent);
  return {{"cpu", "cpu.weight", std::to_string(std::clamp<uint64_t>(weight, 1, 10000)), !limits.cpu_units},
          {"cpu", "cpu.max", fmt::format("{} {}", quota ? std::to_string(*quota) : "max", kCpuPeriodUs), !quota}};
}

std::vector<Knob> plan_io(const Limits& limits) {
  std::vector<Knob> out;
  if (limits.io_weight)
    for (const char* file : {"io.bfq.weight", "io.weight"})
      out.push_back({"io", file, std::to_string(*limits.io_weight), true});
  if (!limits.io) return out;
  const auto value = [](uint64_t n) { return n ? std::to_string(n) : "max"; };
  const std::string bytes = value(limits.io->bytes), operations = value(limits.io->operations);
  out.push_back({"io", "io.max",
                 fmt::format("{0} rbps={1} wbps={1} riops={2} wiops={2}", limits.io->device, bytes, operations),
                 limits.io->bytes == 0 && limits.io->operations == 0});
  return out;
}

}  // namespace vz::cgroups::v2
