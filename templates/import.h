// Putting a tarball into the cache, with what a terminal wants to see meanwhile.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "templates/templates.h"

namespace vz::templates {

// Bytes of the source that are done, and their number; called every now and then.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

// import() that tells how far it is. Cancelled (sys/cancel.h), it leaves nothing behind.
Result<Template> import(const std::string& cache_dir, const std::string& file, const std::string& name,
                        const Progress& progress);
// The same for the regular file that is open at FD, at its start.
Result<Template> import_fd(const std::string& cache_dir, int fd, const std::string& name, const Progress& progress);

}  // namespace vz::templates
