// What kind of init a guest runs and what it is doing.
#pragma once

#include <sys/types.h>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

// Boot has finished: for systemd, its job queue has run empty ("running" or "degraded"); for any other init, it runs.
// Code::wait_failed after an hour or when init dies.
Result<void> wait_until_up(const Host& host, const Container& ct);

// How INIT (a host PID) wants to be told to power off: a signal it handles (systemd and ours: SIGRTMIN+4, busybox:
// SIGUSR2), or 0: run "poweroff" inside.
int poweroff_signal(pid_t init);

// The signal sets of /proc/PID/status ("SigBlk", "SigCgt"): does the process handle SIGNAL in some way? Pure.
bool handles_signal(std::string_view proc_status, int signal);

}  // namespace vz::runtime
