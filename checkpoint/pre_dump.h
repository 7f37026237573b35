// Memory of a running container, copied before it stands still: all of it, and then what it wrote since, by the
// kernel's soft-dirty bits. Sources: Documentation/admin-guide/mm/soft-dirty.rst, criu.org/Iterative_migration.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::checkpoint {

// What keeps this host from it; empty: nothing.
std::string cannot_track_memory(const runtime::Host& host);
// Bytes of memory that a dump would write, about: private and anonymous, of each process.
Result<uint64_t> dumpable_memory(const runtime::Container& ct);

// Copies memory to DIR (exists, empty), and returns how many bytes. All of it; or, with PARENT, what was written since
// the pre_dump() into that directory, a path relative to DIR. The CT stands still for moments only. After an error the
// bits may be gone without a copy: nothing that was copied before is any good as a parent. Code::checkpoint_failed.
Result<uint64_t> pre_dump(const runtime::Host& host, const runtime::Container& ct, const std::string& dir,
                          const std::string& parent);
// What pre_dump() copied to DIR has been sent: what is left of it tells only which pages those were.
Result<void> forget_pages(const std::string& dir);

// For dump() after pre_dump() into PARENT as well.
std::vector<std::string> parent_options(const std::string& parent);

}  // namespace vz::checkpoint
