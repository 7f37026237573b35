// Which files of a tree changed since a moment, by change time: the last copy, in the freeze, looks at nothing else.
#pragma once

#include <time.h>

#include <string>

#include "base/result.h"

namespace vz::migrate {

// Paths relative to ROOT, NUL behind each, of everything whose status changed at or after SINCE, for rsync --files-from
// with
// --dirs: a changed directory's list of names is compared as well (that is how removals travel). Never leaves the file
// system.
Result<std::string> changed_since(const std::string& root, timespec since);
// The clock that change times are stamped with (coarse: up to a tick behind).
timespec change_clock();

}  // namespace vz::migrate
