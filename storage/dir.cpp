#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cerrno>
#include <string_view>

#include "storage/layouts.h"
#include "sys/mounts.h"

namespace vz::storage::dir {

namespace {

// trusted.*: only the host's root can set it, never a guest on its own root directory.
constexpr char kMark[] = "trusted.vessel.layout";
constexpr std::string_view kMarkValue = "dir";

}  // namespace

Result<void> make(const std::string& path) {
  if (::chmod(path.c_str(), 0755) != 0) return fail_sys(errno, "set the mode of '{}'", path);
  const int rc = ::setxattr(path.c_str(), kMark, kMarkValue.data(), kMarkValue.size(), 0);
  // Without trusted attributes (NFS, or not root) VE_LAYOUT in CTID.conf is all there is.
  if (rc != 0 && errno != EOPNOTSUPP && errno != EPERM) return fail_sys(errno, "mark '{}'", path);
  return {};
}

bool is_marked(const std::string& path) {
  char value[16];
  const ssize_t n = ::getxattr(path.c_str(), kMark, value, sizeof value);
  return n > 0 && std::string_view(value, static_cast<size_t>(n)) == kMarkValue;
}

Result<void> mount(const Area& area) { return sys::bind(area.private_dir, area.root_dir); }

}  // namespace vz::storage::dir
