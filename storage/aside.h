// Directories beside the private areas that nobody takes for one: areas being made (".vz-new-XXXXXX") and areas being
// removed (".vz-rm-XXXXXX"). Each is flock(2)ed by its process, so what a killed one left is known and swept.
#pragma once

#include <string>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::storage {

struct Aside {
  std::string path;
  sys::UniqueFd lock;
};

// A new empty directory in PARENT, 0700.
Result<Aside> make_aside(const std::string& parent);
// Renames DIR to a directory of its parent that is to be removed.
Result<Aside> move_aside(const std::string& dir);
// Removes what killed processes left in PARENT.
Result<void> sweep_aside(const std::string& parent);

}  // namespace vz::storage
