// Memory that processes share without a file (mmap(2) MAP_SHARED | MAP_ANONYMOUS), as databases have it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/memory.h"
#include "checkpoint/ranges.h"
#include "sys/unique_fd.h"

namespace vz::checkpoint {

struct SharedSegment {
  uint64_t id = 0;    // criu's name for it too: pagemap-shmem-ID.img
  std::string path;   // to open it by: /proc/PID/map_files/...
  uint64_t size = 0;  // bytes that one process has mapped of it
  bool operator==(const SharedSegment&) const = default;
};
// Those in MAPS (/proc/PID/maps), of PID. Pure.
std::vector<SharedSegment> shared_segments(std::string_view maps, pid_t pid);
// Each once; processes that end meanwhile are left out.
std::vector<SharedSegment> shared_segments(const Tasks& tasks);
// The pages of an open segment that there is something in.
Result<Ranges> filled_pages(int segment);

}  // namespace vz::checkpoint
