#include "sys/maps.h"

#include "base/strings.h"

namespace vz::sys {

std::vector<Mapping> parse_maps(std::string_view maps) {
  std::vector<Mapping> out;
  for (const std::string_view line : split(maps, '\n')) {
    const auto parts = words(line);
    if (parts.size() < 5 || parts[1].size() != 4) continue;
    const size_t dash = parts[0].find('-');
    if (dash == std::string_view::npos) continue;
    const auto begin = parse_hex(parts[0].substr(0, dash)), end = parse_hex(parts[0].substr(dash + 1));
    if (!begin || !end || *end <= *begin) continue;
    const auto name = parts.size() > 5 ? line.substr(static_cast<size_t>(parts[5].data() - line.data())) : "";
    out.push_back({*begin, *end, parts[1], parts[3], parts[4], name});
  }
  return out;
}

}  // namespace vz::sys
