// Text for people that may be longer than their screen.
#pragma once

#include <string>

namespace vz::cli {

// On standard output; where that is a terminal with fewer lines, through $PAGER, Debian's pager(1) or less(1).
void show(const std::string& text);

}  // namespace vz::cli
