// Beancounters of a container as far as a mainline kernel counts them.
#pragma once

#include <optional>

#include "cgroups/cgroups.h"
#include "config/beans.h"
#include "config/ubc.h"
#include "runtime/occupants.h"

namespace vz::runtime {

// In units of its kind. Unset: the kernel does not count it, or the container does not run.
struct Bean {
  std::optional<uint64_t> held, maxheld, failcnt;
  std::optional<config::BarrierLimit> limits;  // of a running container without any: one that is not reached
};

// Whether bean_of() needs a USAGE for it.
bool is_counted(const config::BeanKind& kind);
Bean bean_of(const config::BeanKind& kind, const config::CtSpec& spec, bool running,
             const std::optional<cgroups::Usage>& usage);

// As an OpenVZ kernel would tell it: the beancounters that are counted or configured, 0 for what is not counted.
config::UbcTable ubc_of(const Occupant& occupant);

}  // namespace vz::runtime
