// Stopping a container, and ending it for good.
#pragma once

#include <chrono>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

struct StopOptions {
  bool fast = false;  // kill at once
  bool skip_umount = false;
  bool scripts = true;
};

// STOP_TIMEOUT, the container's or the host's.
std::chrono::seconds stop_timeout(const Host& host, const Container& ct);

// Asks init to power off, waits STOP_TIMEOUT, then kills; cleans up. Where the stop script fails (Code::script_failed)
// it runs on. Code::not_running, Code::stop_failed.
Result<void> stop(const Host& host, const Container& ct, const StopOptions& options = {});

// Private area away, CTID.conf and the action scripts renamed to CTID.conf.destroyed and so on, name released.
// Code::running, Code::mounted.
Result<void> destroy(const Host& host, const Container& ct);

}  // namespace vz::runtime
