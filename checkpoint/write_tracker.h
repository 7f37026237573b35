// Which pages a running process writes, on kernels without soft-dirty bits as well: the process gets a userfaultfd(2),
// which only we keep, with asynchronous write protection (Linux 6.7). It notices nothing; its first write to a page
// after each look costs it a fault.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/result.h"
#include "checkpoint/pagemap.h"
#include "sys/unique_fd.h"

namespace vz::checkpoint {

// What keeps this host from it; empty: nothing.
std::string cannot_track_writes();

// Of one process, until this ends. What it unmaps, moves, forks or executes counts as written.
class WriteTracker {
 public:
  // The process stands still for a moment. Errors as of Tracee.
  static Result<WriteTracker> begin(pid_t pid);

  struct Look {
    Ranges written;  // is there, and was written since the last look; at first all that is there
    Ranges unknown;  // mappings that cannot be watched: nothing is known of them, from earlier looks neither
  };
  // MAPPINGS as they are now. What is read afterwards is at least as new as this.
  Result<Look> look(const Ranges& mappings) const;
  // What is in MAPPINGS and was not written since the last look.
  Result<Ranges> unwritten(const Ranges& mappings) const;

 private:
  bool protect(const Range& mapping, const Pagemap& pagemap) const;

  pid_t pid_ = 0;
  sys::UniqueFd uffd_;
};

}  // namespace vz::checkpoint
