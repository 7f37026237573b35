// Ctrl-C and SIGTERM during a long operation: the waits of sys/process.h notice and fail, so that the rollback runs.
#pragma once

#include "base/result.h"

namespace vz::sys {

// SIGINT, SIGTERM and SIGHUP from now on only set a flag (and interrupt the system call that is waiting).
void catch_cancel_signals();
// A signal was caught, and check_cancelled() has not told yet.
bool is_cancelled();
// An error once per signal caught, so that the undo steps that follow are not cancelled by it as well.
Result<void> check_cancelled();

}  // namespace vz::sys
