// Before a parser touches a foreign archive: what an exploit in it could reach afterwards is the descriptors already
// open, an empty file system, and nothing else.
#pragma once

#include "base/result.h"

namespace vz::templates {

// For good, for a single-threaded process of root: an empty root directory, only the capabilities that unpacking takes
// (owners, modes, file capabilities), and only the system calls on a short list; nothing can be exec'd or mapped
// executable.
Result<void> confine();

}  // namespace vz::templates
