// vztop(8) on a terminal.
#pragma once

#include <chrono>

#include "cli/top/session.h"

namespace vz::cli::top {

struct Pace {
  std::chrono::milliseconds delay{3000};
  std::optional<uint64_t> iterations = {};  // without, until it is told to stop
};
// The time between the first two samples: nobody waits a whole delay for the first rates.
std::chrono::milliseconds first_delay(const Pace& pace);

// Until 'q' and the like, and leaves the terminal as it was however it ends. The signal that it was told to end by; 0:
// none. Code::unsupported: a terminal that terminfo(5) does not know.
Result<int> run_screen(Session& session, const Pace& pace);

}  // namespace vz::cli::top
