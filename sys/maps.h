// The mappings of a process as the kernel lists them: proc_pid_maps(5).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace vz::sys {

// Views of the text that it was parsed from.
struct Mapping {
  uint64_t begin = 0, end = 0;
  std::string_view modes;  // "rw-p"
  std::string_view device, inode;
  std::string_view name;  // to the end of the line, blanks and all; may be empty
};
// Those of MAPS, in order; what is no such line is left out. Pure.
std::vector<Mapping> parse_maps(std::string_view maps);

}  // namespace vz::sys
