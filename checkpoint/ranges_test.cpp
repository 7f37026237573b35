#include "checkpoint/ranges.h"

#include <cstdlib>
#include <set>

#include "tests/catch.h"

using namespace vz::checkpoint;

namespace {

Range pages(uint64_t first, uint64_t count) { return {first * kPage, count}; }

Ranges random_ranges() {
  Ranges out;
  for (uint64_t at = static_cast<uint64_t>(std::rand()) % 4; at < 60; at += static_cast<uint64_t>(std::rand()) % 5) {
    const uint64_t count = 1 + static_cast<uint64_t>(std::rand()) % 6;
    out.push_back(pages(at, count));
    at += count;
  }
  return out;
}

std::set<uint64_t> each(const Ranges& ranges) {
  std::set<uint64_t> out;
  for (const Range& r : ranges)
    for (uint64_t at = r.address; at < r.end(); at += kPage) out.insert(at);
  return out;
}

bool apart(const Ranges& ranges) {
  for (size_t i = 0; i + 1 < ranges.size(); ++i)
    if (ranges[i].end() >= ranges[i + 1].address) return false;
  return true;
}

}  // namespace

TEST_CASE("ranges: a few by hand") {
  const Ranges a = {pages(0, 4), pages(10, 2)}, b = {pages(2, 9)};
  CHECK(unite(a, b) == Ranges{pages(0, 12)});
  CHECK(intersect(a, b) == Ranges{pages(2, 2), pages(10, 1)});
  CHECK(subtract(a, b) == Ranges{pages(0, 2), pages(11, 1)});
  CHECK(subtract(b, a) == Ranges{pages(4, 6)});
  CHECK(unite({}, {}).empty());
  CHECK(subtract(a, {}) == a);
  CHECK(size_of(a) == 6 * kPage);
}

TEST_CASE("ranges: as sets of pages have it") {
  for (int i = 0; i < 2000; ++i) {
    const Ranges a = random_ranges(), b = random_ranges();
    const auto in_a = each(a), in_b = each(b);
    std::set<uint64_t> either = in_a, both, only;
    either.insert(in_b.begin(), in_b.end());
    for (const uint64_t at : in_a) (in_b.contains(at) ? both : only).insert(at);
    REQUIRE(each(unite(a, b)) == either);
    REQUIRE(each(intersect(a, b)) == both);
    REQUIRE(each(subtract(a, b)) == only);
    REQUIRE((apart(unite(a, b)) && apart(intersect(a, b)) && apart(subtract(a, b))));
  }
}
