// Work in a child of its own, beside what the caller does meanwhile.
#pragma once

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

  // WORK sees the caller's memory as it is now. ENOUGH becomes readable when finish() is called, or the caller is gone.
  Result<void> begin(const std::function<Result<void>(int enough)>& work);
  // What WORK came to.
  Result<void> finish();

 private:
  sys::Forked child_;
  std::optional<sys::Channel> channel_;
};

}  // namespace vz::migrate
