// Work in a child of its own, beside what the caller does meanwhile.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "base/result.h"
#include "sys/channel.h"
#include "sys/process.h"

namespace vz::migrate {

class Beside {
 public:
  Beside() = default;
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;
  ~Beside();  // kills what still runs

  // The work goes on after the death of the caller (which then cannot be told what it came to).
  void outlive_caller() { outlives_ = true; }
  // WORK sees the caller's memory as it is now. ENOUGH becomes readable when finish() is called, or the caller is gone.
  Result<void> begin(const std::function<Result<void>(int enough)>& work);
  // What WORK came to. Code::timeout when it is not done by then.
  Result<void> finish(std::optional<std::chrono::steady_clock::time_point> deadline = {});
  pid_t pid() const { return child_.pid; }

 private:
  bool outlives_ = false;
  sys::Forked child_;
  std::optional<sys::Channel> channel_;
};

}  // namespace vz::migrate
