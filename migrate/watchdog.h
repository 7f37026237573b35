// A process of its own that outlives a tool killed half-way and cleans up after it.
#pragma once

#include <functional>

#include "base/result.h"
#include "sys/process.h"

namespace vz::migrate {

class Watchdog {
 public:
  Watchdog() = default;
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() { disarm(); }

  // From now on RESCUE runs as soon as this process is dead, again and again (after 1 s, then 2 s, ... 30 s) until it
  // succeeds. It sees memory as it is now, no descriptors and no terminal.
  Result<void> arm(std::function<Result<void>()> rescue);
  void disarm();
  // As if this process died now: RESCUE begins when it really ends.
  void leave_to_it();

 private:
  sys::Forked child_;
  sys::UniqueFd pipe_;
};

}  // namespace vz::migrate
