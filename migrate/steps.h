// The named steps of a move, in order: each is a place where tests make one of the two hosts fail.
#pragma once

#include <span>
#include <string_view>

#include "runtime/host.h"

namespace vz::migrate {

struct Step {
  std::string_view side;  // "source" or "destination"
  std::string_view name;
  std::string_view what;  // of a live move: what holds here
};
std::span<const Step> steps();

// At NAME (one of steps()). RUN_DIR/fault, which only root can make, says what fails here: "NAME kill" ends this
// process with SIGKILL, "NAME pause" waits until RUN_DIR/fault is gone. Before that its PID is written to
// RUN_DIR/fault.reached.
void at(const runtime::Host& host, std::string_view name);

}  // namespace vz::migrate
