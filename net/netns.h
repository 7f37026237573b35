// Being in another network namespace for a while.
#pragma once

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::net {

// The calling thread is in NETNS while this lives, and goes back at its end.
class NetnsVisit {
 public:
  static Result<NetnsVisit> enter(int netns);
  NetnsVisit(NetnsVisit&&) = default;
  NetnsVisit& operator=(NetnsVisit&&) = delete;
  ~NetnsVisit();

 private:
  explicit NetnsVisit(sys::UniqueFd home) : home_(std::move(home)) {}
  sys::UniqueFd home_;
};
Result<sys::UniqueFd> current_netns();

}  // namespace vz::net
