#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "storage/layouts.h"
#include "sys/files.h"

namespace vz::storage {

namespace {

constexpr mode_t kNotOwner = S_IRWXG | S_IRWXO;

bool is_private_file(const std::string& path) {
  struct ::stat st {};
  return ::lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == ::geteuid() &&
         !(st.st_mode & kNotOwner);
}

}  // namespace

std::optional<config::Layout> detect_layout(const std::string& private_dir) {
  if (dir::is_marked(private_dir)) return config::Layout::dir;
  const auto names = sys::list_dir(private_dir);
  if (!names || names->empty()) return std::nullopt;
  // The guest of a `dir` area may put a root.img into its root directory to have it mounted by us: an image area is
  // closed to everybody but root, and holds no tree.
  const auto st = sys::stat(private_dir);
  const bool tree = std::binary_search(names->begin(), names->end(), "etc");
  const bool closed = st && !(st->st_mode & kNotOwner);
  if (closed && !tree && is_private_file(private_dir + "/" + kImageName)) return config::Layout::image;
  return config::Layout::dir;
}

bool area_exists(const std::string& private_dir) { return detect_layout(private_dir).has_value(); }

}  // namespace vz::storage
