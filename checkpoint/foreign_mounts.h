// Mounts of the host's that a guest sees, as a mount script makes them below VE_ROOT and DEVNODES in /dev: criu has
// nothing to make them from.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::checkpoint {

// Where they are in the mountinfo PROCESS of a guest whose init has INIT; those that every guest has are none. What
// HOST has below RUN_DIR are guests' own file systems, while they move. Pure.
std::vector<std::string> foreign_mounts(std::string_view process, std::string_view init, std::string_view host,
                                        std::string_view run_dir);

struct ForeignMount {
  pid_t pid = 0;
  std::string point = {};  // printable
};
// Those of init, and of the first process in each other mount namespace (a confined service has one) those that init
// has not.
Result<std::vector<ForeignMount>> foreign_mounts(pid_t init, const std::vector<pid_t>& pids,
                                                 const std::string& run_dir);

}  // namespace vz::checkpoint
