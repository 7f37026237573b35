// vzctl's exit statuses (vzctl(8)), the one place that knows them.
#pragma once

#include "base/result.h"

namespace vz::cli {

int exit_code(Code code);

}  // namespace vz::cli
