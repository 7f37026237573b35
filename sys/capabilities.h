// Capability sets by libcap names without "cap_" ("net_admin").
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace vz::sys {

// Everything but NAMES stays: removed from the bounding set, so that no exec in the container can get it back, and from
// the inheritable and ambient sets. Names this kernel does not know are skipped. Call as root of the user namespace.
Result<void> drop_capabilities(const std::vector<std::string>& names);

// In our effective set.
bool has_capability(const std::string& name);

}  // namespace vz::sys
