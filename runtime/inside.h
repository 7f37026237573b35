// The container's side of a start: from the first instruction in the new namespaces to the exec of its init.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "sys/channel.h"

namespace vz::runtime {

// Steps on the start channel. Host side: start.cpp.
enum Step : int {
  kNetReady = 1,   // CT -> host: in a network namespace of its own
  kMapped = 2,     // host -> CT: ids are mapped; along come detached mounts, the idmapped root and InsidePlan::devices,
                   // and the v1 tasks files
  kRootReady = 3,  // CT -> host: mounts done, old root gone
  kGo = 4,         // host -> CT: network and state file are there, run init
};

struct InsidePlan {
  std::string attach_point;  // VE_ROOT: exists on the host, the root is attached over it and pivoted into
  std::string hostname;
  std::vector<std::string> drop;       // capabilities
  std::vector<std::string> devices;    // besides device_nodes(); their nodes come along with kMapped
  std::vector<std::string> argv, env;  // init; argv[0] is tried, then the usual places
};

// Never returns: exec, or an error told over the channel and _exit.
[[noreturn]] void run_inside(const InsidePlan& plan, const sys::Channel& host);

// Shared with exec and enter: last steps before a program of the guest runs, in its namespaces, as its root.
Result<void> confine(const std::vector<std::string>& drop);
// Becomes uid 0, gid 0 of the current user namespace, with no supplementary groups.
Result<void> become_root();

}  // namespace vz::runtime
