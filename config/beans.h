// Beancounters: what OpenVZ limits of a container, one row each.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "config/config.h"

namespace vz::config {

struct BeanKind {
  std::string_view name;  // "kmemsize"
  std::string_view key;   // "KMEMSIZE"
  uint64_t unit;          // bytes of one; kItems: it is a count
};
// In the order of /proc/user_beancounters; swappages, which that lacks, last.
std::span<const BeanKind> bean_kinds();
const BeanKind* find_bean(std::string_view name);

// As configured, in units of the kind. KEY is also AVNUMPROC, which is no beancounter, but is written like one.
std::optional<BarrierLimit> bean_limits(const CtSpec& spec, std::string_view key);

// Memory is limited as a whole: PHYSPAGES has a limit.
bool is_vswap(const CtSpec& spec);

}  // namespace vz::config
