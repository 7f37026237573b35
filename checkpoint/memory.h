// The memory of frozen processes, as far as CRIU restores it lazily: private and anonymous.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cgroups/cgroups.h"
#include "sys/unique_fd.h"

namespace vz::checkpoint {

constexpr uint64_t kPage = 4096;

// Processes by their PID in the container.
using Tasks = std::map<uint64_t, pid_t>;
Result<Tasks> tasks_of(const cgroups::Group& group);

struct Range {
  uint64_t address = 0, pages = 0;
  bool operator==(const Range&) const = default;
};
// The mappings of MAPS (/proc/PID/maps) that may be restored lazily. Pure.
std::vector<Range> lazy_mappings(std::string_view maps);
// Those of PID, as far as there is something in them (/proc/PID/pagemap: present or swapped).
Result<std::vector<Range>> lazy_memory(pid_t pid);

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
