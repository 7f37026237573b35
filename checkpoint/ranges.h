// Sets of pages, as runs of them. Pure.
#pragma once

#include <cstdint>
#include <vector>

namespace vz::checkpoint {

constexpr uint64_t kPage = 4096;

struct Range {
  uint64_t address = 0, pages = 0;
  uint64_t end() const { return address + pages * kPage; }
  bool operator==(const Range&) const = default;
};
// In order, none empty; the results below are so that no two touch.
using Ranges = std::vector<Range>;

// Adds MORE, which lies behind all that is in TO.
void append(Ranges& to, const Range& more);
// What is in either, in both, in A and not in B.
Ranges unite(const Ranges& a, const Ranges& b);
Ranges intersect(const Ranges& a, const Ranges& b);
Ranges subtract(const Ranges& a, const Ranges& b);
// Bytes of all.
uint64_t size_of(const Ranges& ranges);

}  // namespace vz::checkpoint
