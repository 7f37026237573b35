// Shared memory (checkpoint/shared_memory.h) goes ahead once, while the container runs, into segments that the
// destination has ready; in the freeze it is compared with what went, and only the difference is sent. criu is given
// these segments, and reads nothing of them from images.
//
//   share ID               a segment: "SIZE UID GID MODE"
//   pages ID               a place in it (uint64_t), and what belongs there
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "checkpoint/memory.h"
#include "checkpoint/ranges.h"
#include "checkpoint/shared_memory.h"
#include "migrate/pace.h"
#include "migrate/wire.h"
#include "runtime/container.h"
#include "sys/unique_fd.h"

namespace vz::migrate {

// The source's part.
class SharedAhead {
 public:
  // What TASKS share, where it may be much.
  static std::vector<checkpoint::SharedSegment> find(const checkpoint::Tasks& tasks);
  // Copies SEGMENTS with much in them to the other side at this PACE, and keeps that in IMAGES.
  Result<void> copy(const Wire& wire, const std::vector<checkpoint::SharedSegment>& segments, const std::string& images,
                    Pace pace);
  bool empty() const { return all_.empty(); }
  // criu's images of it, which nobody needs: by its list's name, pagemap-shmem-ID.img.
  bool knows(std::string_view pagemap) const;
  // All of TASKS stands still: what differs.
  Result<void> send_changes(const Wire& wire, const checkpoint::Tasks& tasks) const;

 private:
  struct Kept {
    uint64_t size = 0;
    checkpoint::Ranges pages;
    std::string path;  // these pages, one behind the other
  };
  std::map<uint64_t, Kept> all_;
};

// The destination's part.
class SharedThere {
 public:
  // The messages above: SEGMENT is the ID. Foreign: Code::peer. What comes counts as memory of CT, whose control group
  // is there.
  Result<void> share(const runtime::Container& ct, std::string_view segment, std::string_view body);
  Result<void> put(std::string_view segment, std::string_view body) const;
  bool empty() const { return all_.empty(); }
  // All has come: the segments are whole after that. In IMAGES they get the names that criu is given them by.
  Result<void> finish(const std::string& images) const;
  std::map<uint64_t, int> segments() const;

 private:
  struct Segment {
    uint64_t size = 0;
    sys::UniqueFd memory;
    sys::UniqueFd writer;  // a socket to the process that fills it
  };
  const Segment* find(std::string_view segment) const;

  std::map<uint64_t, Segment> all_;
};

}  // namespace vz::migrate
