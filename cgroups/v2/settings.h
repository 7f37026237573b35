// What a guest has set in the groups of its own subtree: limits of its services, and which controllers groups pass on.
#pragma once

#include <vector>

#include "base/result.h"
#include "cgroups/cgroups.h"

namespace vz::cgroups::v2 {

// Of the directory DIR, in the order they must be written; what a new group has anyway is left out. OF_ROOT: of the
// root of the guest's subtree, whose limits are not the guest's.
std::vector<Group::Setting> read_settings(int dir, bool of_root);
// Code::invalid when a guest could not have set that: a peer may have written it.
Result<void> check_settings(const std::vector<Group::Setting>& settings, bool of_root);
// For a directory without processes whose parent has its settings already. Files that only other kernels or other
// processors take are left alone.
Result<void> write_settings(int dir, const std::vector<Group::Setting>& settings);

}  // namespace vz::cgroups::v2
