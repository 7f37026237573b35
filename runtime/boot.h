// Which containers start when the host boots and stop when it shuts down, and in which order. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "config/spec.h"

namespace vz::runtime {

struct AtBoot {
  config::CtId id = 0;
  std::optional<bool> onboot = {};
  std::optional<uint64_t> order = {};  // BOOTORDER
  bool disabled = false;
  bool marked = false;  // ran when the host was shut down
  bool running = false;
};

// Those of a batch at the same time, one batch after the other.
using Batches = std::vector<std::vector<config::CtId>>;

// What does not run and has ONBOOT=yes, or a mark and no ONBOOT=no; the highest BOOTORDER first, none last.
Batches start_batches(const std::vector<AtBoot>& all);
// What runs, the other way round.
Batches stop_batches(const std::vector<AtBoot>& all);

}  // namespace vz::runtime
