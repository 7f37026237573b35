// The memory of processes, as far as CRIU restores it lazily: private and anonymous.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string_view>

#include "base/result.h"
#include "cgroups/cgroups.h"
#include "checkpoint/ranges.h"
#include "sys/unique_fd.h"

namespace vz::checkpoint {

// Processes by their PID in the container; one that ends meanwhile is left out.
using Tasks = std::map<uint64_t, pid_t>;
Result<Tasks> tasks_of(const cgroups::Group& group);

// The mappings of MAPS (/proc/PID/maps), of PID, that may be restored lazily. The first one is pure.
Ranges lazy_mappings(std::string_view maps);
Result<Ranges> lazy_mappings(pid_t pid);
// As far as there is something in them: present or swapped.
Result<Ranges> lazy_memory(pid_t pid);

class Memory {
 public:
  explicit Memory(const Tasks& tasks) : tasks_(tasks) {}
  // SIZE bytes at ADDRESS of TASK (a PID in the container) to OUT. Code::peer: there is no such process.
  Result<void> read(uint64_t task, uint64_t address, char* out, size_t size);

 private:
  const Tasks& tasks_;
  std::map<uint64_t, sys::UniqueFd> open_;
};

}  // namespace vz::checkpoint
