// One operation on several containers, each in a process of its own.
#pragma once

#include <functional>
#include <vector>

#include "base/result.h"
#include "config/spec.h"

namespace vz::cli {

struct Outcome {
  config::CtId id = 0;
  size_t batch = 0;
  int status = 0;  // exit status, 128 + N when signal N killed it; kNotBegun
};
constexpr int kNotBegun = -1;

// WORK for each container in a child, in their order, at most PARALLEL at a time, and no batch before the one in front
// of it has ended; what WORK returns is its exit status. A signal that asks us to end (sys/cancel.h) is passed on to
// those that run, and no more are begun.
using Batches = std::vector<std::vector<config::CtId>>;
Result<std::vector<Outcome>> for_each(const Batches& batches, size_t parallel,
                                      const std::function<int(config::CtId)>& work);

}  // namespace vz::cli
