#include "cgroups/plan.h"

#include <array>

#include "cgroups/cgroups.h"
#include "cgroups/v1/plan.h"
#include "cgroups/v2/plan.h"

namespace vz::cgroups {

namespace {

std::vector<Knob> plan_cpuset(const Limits& limits) {
  std::vector<Knob> out;
  if (limits.cpus) out.push_back({"cpuset", "cpuset.cpus", *limits.cpus, limits.cpus->empty()});
  if (limits.nodes) out.push_back({"cpuset", "cpuset.mems", *limits.nodes, limits.nodes->empty()});
  return out;
}

struct Planner {
  std::string_view controller;  // as v1 calls it
  std::vector<Knob> (*v1)(const Limits&);
  std::vector<Knob> (*v2)(const Limits&);
};
constexpr auto kPlanners = std::to_array<Planner>({{"memory", v1::plan_memory, v2::plan_memory},
                                                   {"pids", v1::plan_pids, v2::plan_pids},
                                                   {"cpu", v1::plan_cpu, v2::plan_cpu},
                                                   {"cpuset", plan_cpuset, plan_cpuset},
                                                   {"blkio", v1::plan_io, v2::plan_io}});

}  // namespace

std::string pids_value(std::optional<uint64_t> pids) {
  constexpr uint64_t kPidMaxLimit = 4u << 20;
  return pids && *pids <= kPidMaxLimit ? std::to_string(*pids) : "max";
}

std::optional<uint64_t> cpu_quota_us(std::optional<uint32_t> percent) {
  if (!percent || *percent == 0) return std::nullopt;
  return *percent * kCpuPeriodUs / 100;
}

std::vector<Knob> plan(const Host& host, const Limits& limits) {
  std::vector<Knob> out;
  for (const Planner& p : kPlanners) {
    const Host::Controller* c = host.find(p.controller);
    const auto knobs = c && !c->v1_mount.empty() ? p.v1(limits) : p.v2(limits);
    out.insert(out.end(), knobs.begin(), knobs.end());
  }
  return out;
}

}  // namespace vz::cgroups
