// Limits as files of the v1 controllers. Twin of v2/plan.h.
#pragma once

#include <vector>

#include "cgroups/cgroups.h"

namespace vz::cgroups::v1 {

// memory.limit_in_bytes before memory.memsw.limit_in_bytes: right when lowering; raising needs the reverse (apply()).
std::vector<Knob> plan_memory(const Limits& limits);
std::vector<Knob> plan_pids(const Limits& limits);
std::vector<Knob> plan_cpu(const Limits& limits);
std::vector<Knob> plan_io(const Limits& limits);

}  // namespace vz::cgroups::v1
