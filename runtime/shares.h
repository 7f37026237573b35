// How much of a host's memory its containers use, were promised and may take at most: vzcalc(8), vzmemcheck(8). Pure.
#pragma once

#include <optional>

#include "cgroups/cgroups.h"
#include "config/host_size.h"
#include "config/spec.h"

namespace vz::runtime {

// Bytes, but for the processes. What has no limit may take all there is.
struct Shares {
  uint64_t kernel_used = 0, kernel_limit = 0;  // memory of the kernel's own
  uint64_t ram_used = 0;
  uint64_t memory_used = 0, memory_promised = 0;  // RAM and swap
  uint64_t alloc_promised = 0, alloc_limit = 0;   // that may be asked for; Linux counts what is used of it only
  uint64_t processes_used = 0, processes_limit = 0;
};

// What a host has, in the same places; for its kernel's own memory 0.4 of what it can use for that.
Shares capacity(const config::HostSize& host);
// Of one container. USAGE: nullopt when it does not run.
Shares shares_of(const config::CtSpec& spec, const std::optional<cgroups::Usage>& usage, const config::HostSize& host);
Shares sum(const Shares& a, const Shares& b);
double percent(uint64_t part, uint64_t whole);  // 0 of nothing

}  // namespace vz::runtime
