#include "net/netns.h"

#include <fcntl.h>
#include <sched.h>

#include "base/log.h"
#include "sys/files.h"
#include "sys/namespaces.h"

namespace vz::net {

Result<sys::UniqueFd> current_netns() { return sys::open("/proc/thread-self/ns/net", O_RDONLY); }

Result<NetnsVisit> NetnsVisit::enter(int netns) {
  TRY_AS(sys::UniqueFd home, current_netns());
  TRY(sys::enter_ns(netns, CLONE_NEWNET), "network namespace");
  return NetnsVisit(std::move(home));
}

NetnsVisit::~NetnsVisit() {
  if (!home_) return;
  if (auto r = sys::enter_ns(home_.get(), CLONE_NEWNET); !r) log::error("cannot go back: {}", r.error().text);
}

}  // namespace vz::net
