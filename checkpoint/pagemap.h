// What is in a process's memory, page by page. Sources: proc_pid_pagemap(5), PAGEMAP_SCAN (Linux 6.7,
// Documentation/admin-guide/mm/pagemap.rst).
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/result.h"
#include "checkpoint/ranges.h"
#include "sys/unique_fd.h"

namespace vz::checkpoint {

class Pagemap {
 public:
  static Result<Pagemap> open(pid_t pid);

  // Adds to OUT the pages of MAPPING that there is something in: present or swapped.
  Result<void> add_filled(const Range& mapping, Ranges& out) const;
  // Whether userfaultfd(2) write-protects MAPPING asynchronously. No: also before Linux 6.7.
  bool is_tracked(const Range& mapping) const;
  // Those pages of such a MAPPING that were written since they were protected, and protects them; that were not. After
  // an error some may be protected that are not in OUT.
  Result<void> add_written(const Range& mapping, Ranges& out) const;
  Result<void> add_unwritten(const Range& mapping, Ranges& out) const;

 private:
  Result<void> read_filled(const Range& mapping, Ranges& out) const;

  sys::UniqueFd fd_;
};

}  // namespace vz::checkpoint
