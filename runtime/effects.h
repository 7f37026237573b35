// What a configuration asks for and this host does nothing for.
#pragma once

#include <string>
#include <vector>

#include "runtime/container.h"

namespace vz::runtime {

// One warning for all of CHANGES that share a reason.
void tell_without_effect(const Container& ct, const std::vector<config::Change>& changes);

// Why IOPRIO has no effect on CT here, a sentence without its end; empty: it has one.
std::string why_no_io_weight(const Container& ct);

}  // namespace vz::runtime
