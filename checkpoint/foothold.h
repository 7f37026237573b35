// criu runs code of its own in each process that it dumps: it writes it into the first executable mapping, by
// ptrace(2). The kernel refuses that in a mapping that is shared and not writable. In such a one PHP 8.4 keeps what it
// compiles (opcache.jit_buffer_size), and puts it below the program, so that it comes first.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::checkpoint {

// Of the text of /proc/PID/maps: where a page is free below a first executable mapping that is of no use to criu.
// nullopt: there is nothing to be done. Pure.
std::optional<uint64_t> foothold_place(std::string_view maps);
// Gives a process a page of its own for criu there, empty and executable, which stays there. The process
// does not notice: a system call that it is in goes on. The other threads run meanwhile. Code::system, Code::timeout.
Result<void> give_foothold(pid_t pid, uint64_t at);
// As far as that goes: criu says what is wrong with the others.
void give_footholds(const std::vector<pid_t>& pids);

}  // namespace vz::checkpoint
