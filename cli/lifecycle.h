// What more than one sub-command does to a running container.
#pragma once

#include "cli/command.h"
#include "runtime/container.h"
#include "runtime/start.h"
#include "runtime/stop.h"

namespace vz::cli {

// Stops CT when it runs, having seen that nothing forbids its start, and starts it. Says what vzctl says.
Result<void> restart(const Context& ctx, const runtime::Container& ct, const runtime::StopOptions& stop_options = {},
                     const runtime::StartOptions& start_options = {});

}  // namespace vz::cli
