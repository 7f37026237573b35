#include "state/state.h"

namespace vz::state {

namespace {
constexpr config::CtId kRanges = 32744;
constexpr uint32_t kFirstRange = 8;
constexpr uint32_t kIdsPerRange = 65536;
}  // namespace

uint32_t first_id(config::CtId id) { return kIdsPerRange * (kFirstRange + id % kRanges); }

std::optional<config::CtId> id_range_conflict(const Paths& paths, config::CtId id) {
  const auto registered = all(paths);
  if (!registered) return std::nullopt;
  for (const config::CtId other : *registered)
    if (other != id && first_id(other) == first_id(id)) return other;
  return std::nullopt;
}

}  // namespace vz::state
