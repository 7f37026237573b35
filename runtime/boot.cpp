#include "runtime/boot.h"

#include <algorithm>
#include <map>
#include <utility>

namespace vz::runtime {

namespace {

bool starts(const AtBoot& ct) { return !ct.running && !ct.disabled && ct.onboot.value_or(ct.marked); }
bool stops(const AtBoot& ct) { return ct.running; }

// Lowest order first.
Batches batches(const std::vector<AtBoot>& all, bool (*wanted)(const AtBoot&)) {
  std::map<std::optional<uint64_t>, std::vector<config::CtId>> by_order;  // an empty optional is less than any number
  for (const AtBoot& ct : all)
    if (wanted(ct)) by_order[ct.order].push_back(ct.id);
  Batches out;
  for (auto& [order, ids] : by_order) {
    std::sort(ids.begin(), ids.end());
    out.push_back(std::move(ids));
  }
  return out;
}

}  // namespace

Batches start_batches(const std::vector<AtBoot>& all) {
  Batches out = batches(all, starts);
  std::reverse(out.begin(), out.end());
  return out;
}

Batches stop_batches(const std::vector<AtBoot>& all) { return batches(all, stops); }

}  // namespace vz::runtime
