// New templates from what this machine has: Debian by mmdebstrap, "tiny" from busybox.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "templates/import.h"
#include "templates/templates.h"

namespace vz::templates {

struct BuildOptions {
  std::string cache_dir;
  std::string name;                   // of the template
  std::vector<std::string> packages;  // Debian: beside the standard ones
  std::string mirror;                 // Debian: empty takes the machine's own
  Progress progress;                  // of packing, the last step
};

// What build() can make: "debian-12", "debian-13", "tiny".
std::vector<std::string_view> buildable();
// DISTRIBUTION as NAME in the cache, in place of an older one. A failed or cancelled (sys/cancel.h) build leaves
// nothing.
Result<Template> build(std::string_view distribution, const BuildOptions& options);

Result<Template> build_debian(std::string_view suite, const BuildOptions& options);  // build_debian.cpp
Result<Template> build_tiny(const BuildOptions& options);                            // build_tiny.cpp

}  // namespace vz::templates
