// Containers with what they use of this host.
#pragma once

#include <optional>
#include <vector>

#include "cgroups/cgroups.h"
#include "runtime/container.h"

namespace vz::runtime {

// What it uses now; nullopt: it does not run.
std::optional<cgroups::Usage> usage_of(const Container& ct);

// A container as it is configured and, when it runs, as it runs.
struct Occupant {
  Container ct;
  bool running = false;
  std::optional<cgroups::Usage> usage = {};
};
// Code::no_ct_config.
Result<Occupant> look_at(const Host& host, config::CtId id);
// Code::no_ct_config: there is no such container. Code::not_running.
Result<void> expect_running(const Host& host, config::CtId id);
// Those that run, ascending.
Result<std::vector<Occupant>> running_containers(const Host& host);

}  // namespace vz::runtime
