#include "migrate/memory_plan.h"

#include <fmt/core.h>

#include "migrate/rounds.h"

namespace vz::migrate {

namespace {

std::string first_of(const std::string& a, const std::string& b) { return a.empty() ? b : a; }

}  // namespace

MemoryPlan plan_memory(const Options& options, const MemoryFacts& facts) {
  MemoryPlan plan{.follows = options.lazy};
  if (!options.online) return plan;
  const std::string no_store = first_of(facts.no_fetching, facts.no_keeping);
  plan.rounds = options.precopy.value_or(options.lazy ? 0 : kMostRounds);
  plan.pages = options.lazy || (no_store.empty() && facts.no_write_tracking.empty());
  if (options.lazy && !no_store.empty()) plan.problem = "--lazy: " + no_store;
  const std::string no_rounds = options.lazy ? facts.no_write_tracking : plan.pages ? "" : facts.no_image_rounds;
  if (options.precopy.value_or(0) > 0) {
    if (plan.problem.empty() && !no_rounds.empty()) plan.problem = "--precopy: " + no_rounds;
    return plan;
  }
  if (options.lazy || plan.rounds == 0 || facts.bytes < kLittleMemory) {
    plan.rounds = 0;
    plan.pages = options.lazy;
    return plan;
  }
  const uint64_t mib = facts.bytes >> 20;
  if (!no_rounds.empty()) {
    plan.rounds = 0;
    plan.note =
        fmt::format("{} MiB of memory are copied in the freeze: {}; --lazy would not wait for them", mib, no_rounds);
  } else if (plan.pages) {
    plan.note = fmt::format("{} MiB of memory go ahead; the restore does not wait for them", mib);
  } else {
    plan.note = fmt::format("{} MiB of memory go ahead; the restore waits for them: {}", mib,
                            first_of(facts.no_write_tracking, no_store));
  }
  return plan;
}

}  // namespace vz::migrate
