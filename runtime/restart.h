// Stopping a container that is to be started again.
#pragma once

#include "base/result.h"
#include "runtime/container.h"
#include "runtime/start.h"
#include "runtime/stop.h"

namespace vz::runtime {

// One that does not run is no error. What start() would refuse afterwards, as far as that can be known now, is an error
// of its own code before anything is stopped: DISABLED, the private area, action scripts that may not be run or are no
// programs, CPUs, devices, bridges, an init. Errors: those of stop() besides.
Result<void> stop_for_restart(const Host& host, const Container& ct, const StopOptions& stop_options,
                              const StartOptions& start_options);

}  // namespace vz::runtime
