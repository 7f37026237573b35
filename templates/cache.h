// Names of the files in the template cache.
#pragma once

#include <string>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::templates {

constexpr const char* kExtension = ".tar.zst";  // of new templates

// Removes NAME in every form but kExtension: find() would prefer some of them.
Result<void> remove_other_forms(const std::string& cache_dir, const std::string& name);

// Opens the file PATH for reading and writing, made if need be, and locks it. Code::locked when another process has it,
// or had it until just now and renamed or removed it.
Result<sys::UniqueFd> open_locked(const std::string& path);

}  // namespace vz::templates
