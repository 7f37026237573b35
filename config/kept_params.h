// Parameters that a mainline kernel has nothing for: they are read, checked, saved and listed, and have no effect.
// Whoever sets one is told why. Kept in their printed form (CtSpec::kept).
#pragma once

#include <vector>

#include "config/config.h"

namespace vz::config {

// Rows for table().
std::vector<Param> kept_params();

}  // namespace vz::config
