#include "templates/programs.h"

#include <algorithm>
#include <iterator>

#include "templates/templates.h"

namespace vz::templates {

Result<void> check_programs(const std::function<bool(const char* path)>& is_program) {
  constexpr const char* kShells[] = {"/bin/sh", "/bin/bash"};
  if (std::none_of(std::begin(kInits), std::end(kInits), is_program))
    return fail(Code::bad_template, "it has no init (/sbin/init)");
  if (std::none_of(std::begin(kShells), std::end(kShells), is_program))
    return fail(Code::bad_template, "it has no shell (/bin/sh)");
  return {};
}

}  // namespace vz::templates
