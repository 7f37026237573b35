// Named undo steps, run newest first unless committed. They outlive the locals of the function that added them:
// capture by value. An undo that fails is logged and the older ones still run.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace vz {

class Rollback {
 public:
  Rollback() = default;
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;
  ~Rollback() { run(); }

  void add(std::string what, std::function<Result<void>()> undo) {
    steps_.push_back({std::move(what), std::move(undo)});
  }
  // Everything worked: forget the steps.
  void commit() { steps_.clear(); }
  // Undo now.
  void run();

 private:
  struct Step {
    std::string what;
    std::function<Result<void>()> undo;
  };
  std::vector<Step> steps_;
};

}  // namespace vz
