// One process of one boot: what a lock or a state file records besides the PID, so that a later process with the same
// PID is not taken for it.
#pragma once

#include <sys/types.h>

#include <string>

namespace vz::state {

const std::string& boot_id();  // empty when the kernel does not tell
bool alive(pid_t pid);         // also a zombie, also one we may not signal

}  // namespace vz::state
