// Controllers for the groups below, and files for the guest ("Delegation" in cgroup-v2.rst).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace vz::cgroups::v2 {

// Gives the children of GROUP the files of the WANTED controllers, as far as GROUP has them itself. Needs no writing
// when it is so already. A failure counts only for the controllers that limits need.
Result<void> enable_controllers(const std::string& group, const std::vector<std::string>& wanted);
// The directory DIR and the files the kernel names as safe to give away become UID's and GID's. The limits do not.
Result<void> delegate(int dir, uid_t uid, gid_t gid);

}  // namespace vz::cgroups::v2
