#include "state/state.h"

namespace vz::state {

namespace {
constexpr config::CtId kRanges = 32744;
constexpr uint32_t kFirstRange = 8;
constexpr uint32_t kIdsPerRange = 65536;
}  // namespace

uint32_t first_id(config::CtId id) { return kIdsPerRange * (kFirstRange + id % kRanges); }

std::vector<config::CtId> sharing_ids(const Paths& paths, config::CtId id) {
  std::vector<config::CtId> others = all(paths).value_or({});
  std::erase_if(others, [id](config::CtId other) { return other == id || first_id(other) != first_id(id); });
  return others;
}

}  // namespace vz::state
