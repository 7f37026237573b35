#include "runtime/beans.h"

#include <algorithm>
#include <array>

namespace vz::runtime {

namespace {

using Count = uint64_t cgroups::Usage::*;

struct Counted {
  std::string_view name;
  Count held, maxheld = nullptr, failcnt = nullptr;
};

constexpr auto kCounted = std::to_array<Counted>({
    {"kmemsize", &cgroups::Usage::kernel},
    {"numproc", &cgroups::Usage::pids, nullptr, &cgroups::Usage::pids_failures},
    {"physpages", &cgroups::Usage::memory, &cgroups::Usage::memory_max, &cgroups::Usage::memory_failures},
    {"swappages", &cgroups::Usage::swap},
});

const Counted* find_counted(const config::BeanKind& kind) {
  const auto it = std::find_if(kCounted.begin(), kCounted.end(), [&](const Counted& c) { return c.name == kind.name; });
  return it == kCounted.end() ? nullptr : &*it;
}

}  // namespace

bool is_counted(const config::BeanKind& kind) { return find_counted(kind) != nullptr; }

Bean bean_of(const config::BeanKind& kind, const config::CtSpec& spec, bool running,
             const std::optional<cgroups::Usage>& usage) {
  Bean bean;
  bean.limits = config::bean_limits(spec, kind.key);
  if (!bean.limits && running) bean.limits.emplace();
  const Counted* counted = find_counted(kind);
  if (!counted || !usage) return bean;
  const uint64_t unit = std::max<uint64_t>(kind.unit, 1);
  const auto count = [&](Count member, uint64_t of) {
    return member ? std::optional((*usage).*member / of) : std::nullopt;
  };
  bean.held = count(counted->held, unit);
  bean.maxheld = count(counted->maxheld, unit);
  bean.failcnt = count(counted->failcnt, 1);
  return bean;
}

config::UbcTable ubc_of(const Occupant& o) {
  config::UbcTable table{std::to_string(o.ct.id), {}};
  for (const config::BeanKind& kind : config::bean_kinds()) {
    const Bean bean = bean_of(kind, o.ct.spec, o.running, o.usage);
    if (!bean.held && !config::bean_limits(o.ct.spec, kind.key)) continue;
    const config::BarrierLimit limits = bean.limits.value_or(config::BarrierLimit());
    table.rows.push_back({std::string(kind.name), bean.held.value_or(0), bean.maxheld.value_or(bean.held.value_or(0)),
                          limits.barrier, limits.limit, bean.failcnt.value_or(0)});
  }
  return table;
}

}  // namespace vz::runtime
