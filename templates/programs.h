// The programs without which a template is of no use.
#pragma once

#include <functional>

#include "base/result.h"

namespace vz::templates {

// Code::bad_template unless there is an init and a shell. IS_PROGRAM: does this path of the tree lead to a program?
Result<void> check_programs(const std::function<bool(const char* path)>& is_program);

}  // namespace vz::templates
