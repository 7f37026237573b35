// Ways to stop and kill a group for kernels without cgroup.freeze (Linux 5.2) and cgroup.kill (5.14).
#pragma once

#include <string>

#include "base/result.h"
#include "cgroups/tree.h"

namespace vz::cgroups {

// GROUP is the CT's directory in the v1 freezer hierarchy. False: not in time.
Result<bool> v1_freeze(const std::string& group, Deadline deadline);
Result<void> v1_thaw(const std::string& group);
Result<bool> v1_frozen(const std::string& group);
// SIGKILL for each process of GROUP, again and again, until it is empty. False: not in time. V2_DIR is its cgroup2
// directory, V1_FREEZER (empty: none) that in the v1 freezer hierarchy, which holds signals back and so is thawed.
Result<bool> kill_each(const Group& group, const std::string& v2_dir, const std::string& v1_freezer, Deadline deadline);

}  // namespace vz::cgroups
