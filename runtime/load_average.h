// Load averages of containers, made as the kernel makes the host's (kernel/sched/loadavg.c): of samples 5 s apart. One
// process takes them (vzprocfs(8)) and writes RUN_DIR/loadavg, which others read.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cgroups/task_count.h"
#include "config/spec.h"
#include "state/state.h"

namespace vz::runtime {

constexpr std::chrono::seconds kLoadPeriod(5);

// Over 1, 5 and 15 minutes, in hundredths.
using Load = std::array<uint64_t, 3>;
using Loads = std::map<config::CtId, Load>;

class LoadAverage {
 public:
  void add(uint64_t tasks);
  Load load() const;

 private:
  std::array<uint64_t, 3> fixed_{};  // in units of 1/2048
};

// A line for each: "101 0.00 0.01 0.05". Pure, as what reads it; a line that is none is left out.
std::string print_loads(const Loads& loads);
Loads parse_loads(std::string_view text);
std::string load_text(const Load& load, std::string_view between);  // "0.00/0.01/0.05"

// What was written last; empty when nobody writes (any more).
Loads current_loads(const state::Paths& paths);
Result<void> forget_loads(const state::Paths& paths);

class LoadSampler {
 public:
  // Code::unsupported as TaskCounter::open().
  static Result<LoadSampler> open(const state::Paths& paths);
  // To be called every kLoadPeriod; one that comes late counts for those that were missed.
  Result<void> sample();

 private:
  using Clock = std::chrono::steady_clock;
  LoadSampler(state::Paths paths, cgroups::TaskCounter counter)
      : paths_(std::move(paths)), counter_(std::move(counter)) {}
  state::Paths paths_;
  cgroups::TaskCounter counter_;
  std::map<config::CtId, LoadAverage> averages_;
  Clock::time_point last_ = Clock::now();
};

}  // namespace vz::runtime
