// Limits as files of the v2 controllers. Twin of v1/plan.h.
#pragma once

#include <vector>

#include "cgroups/cgroups.h"

namespace vz::cgroups::v2 {

std::vector<Knob> plan_memory(const Limits& limits);
std::vector<Knob> plan_pids(const Limits& limits);
std::vector<Knob> plan_cpu(const Limits& limits);
std::vector<Knob> plan_io(const Limits& limits);

}  // namespace vz::cgroups::v2
