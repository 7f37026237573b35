#include "checkpoint/shared_memory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "base/strings.h"
#include "sys/files.h"
#include "sys/maps.h"

namespace vz::checkpoint {

namespace {

// As the kernel names it, and once criu has made it anew.
constexpr std::string_view kMade = "/dev/zero (deleted)", kRestored = "/memfd:/dev/zero (deleted)";

}  // namespace

std::vector<SharedSegment> shared_segments(std::string_view maps, pid_t pid) {
  std::vector<SharedSegment> out;
  for (const sys::Mapping& m : sys::parse_maps(maps)) {
    if (m.modes[3] != 's' || (m.name != kMade && m.name != kRestored)) continue;
    const auto id = parse_u64(m.inode);
    if (id && *id != 0)
      out.push_back({*id, fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, m.begin, m.end), m.end - m.begin});
  }
  return out;
}

std::vector<SharedSegment> shared_segments(const Tasks& tasks) {
  std::vector<SharedSegment> out;
  std::set<uint64_t> known;
  for (const auto& [task, pid] : tasks) {
    const auto maps = sys::read_file(fmt::format("/proc/{}/maps", pid), 64u << 20);
    if (!maps) continue;
    for (SharedSegment& s : shared_segments(*maps, pid))
      if (known.insert(s.id).second) out.push_back(std::move(s));
  }
  return out;
}

Result<Ranges> filled_pages(int segment) {
  Ranges out;
  for (off_t at = 0;;) {
    const off_t data = ::lseek(segment, at, SEEK_DATA);
    if (data < 0 && errno == ENXIO) return out;
    const off_t hole = data < 0 ? data : ::lseek(segment, data, SEEK_HOLE);
    if (hole < 0) return fail_sys(errno, "look for data in shared memory");
    append(out, {static_cast<uint64_t>(data), (static_cast<uint64_t>(hole - data) + kPage - 1) / kPage});
    at = hole;
  }
}

}  // namespace vz::checkpoint
