#include <algorithm>

#include <fmt/format.h>

#include "base/strings.h"
#include "state/state.h"
#include "sys/files.h"

namespace vz::state {

namespace {
std::string path_of(const Paths& paths, config::CtId id) { return fmt::format("{}/{}", paths.marks_dir, id); }
}  // namespace

Result<void> mark(const Paths& paths, config::CtId id) {
  TRY(sys::make_dirs(paths.marks_dir));
  return sys::replace_file(path_of(paths, id), "");
}

Result<void> unmark(const Paths& paths, config::CtId id) { return sys::remove_file(path_of(paths, id)); }

std::vector<config::CtId> marked(const Paths& paths) {
  std::vector<config::CtId> ids;
  for (const std::string& name : sys::list_dir(paths.marks_dir).value_or({})) {
    const auto id = parse_u64(name);
    if (id && *id >= 1 && *id <= config::kMaxCtId) ids.push_back(static_cast<config::CtId>(*id));
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

}  // namespace vz::state
