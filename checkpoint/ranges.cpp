#include "checkpoint/ranges.h"

#include <algorithm>
#include <iterator>

namespace vz::checkpoint {

namespace {

void append(Ranges& to, uint64_t begin, uint64_t end) {
  if (begin < end) append(to, {begin, (end - begin) / kPage});
}

}  // namespace

void append(Ranges& to, const Range& more) {
  if (!to.empty() && to.back().end() == more.address)
    to.back().pages += more.pages;
  else
    to.push_back(more);
}

Ranges unite(const Ranges& a, const Ranges& b) {
  Ranges sorted, out;
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(sorted),
             [](const Range& x, const Range& y) { return x.address < y.address; });
  for (const Range& r : sorted) append(out, out.empty() ? r.address : std::max(r.address, out.back().end()), r.end());
  return out;
}

Ranges intersect(const Ranges& a, const Ranges& b) {
  Ranges out;
  for (auto x = a.begin(), y = b.begin(); x != a.end() && y != b.end();) {
    append(out, std::max(x->address, y->address), std::min(x->end(), y->end()));
    x->end() < y->end() ? ++x : ++y;
  }
  return out;
}

Ranges subtract(const Ranges& a, const Ranges& b) {
  Ranges out;
  auto y = b.begin();
  for (const Range& x : a) {
    uint64_t at = x.address;
    while (y != b.end() && y->end() <= at) ++y;
    for (auto cut = y; cut != b.end() && cut->address < x.end(); ++cut) {
      append(out, at, cut->address);
      at = std::max(at, cut->end());
    }
    append(out, at, x.end());
  }
  return out;
}

uint64_t size_of(const Ranges& ranges) {
  uint64_t pages = 0;
  for (const Range& r : ranges) pages += r.pages;
  return pages * kPage;
}

}  // namespace vz::checkpoint
