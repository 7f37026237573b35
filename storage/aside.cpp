#include "storage/aside.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "sys/files.h"

namespace vz::storage {

namespace {

constexpr char kNew[] = ".vz-new-";
constexpr char kRemove[] = ".vz-rm-";
constexpr int kOpenDir = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

Result<std::string> make_unique_dir(const std::string& parent, const char* prefix) {
  std::string path = parent + "/" + prefix + "XXXXXX";
  if (!::mkdtemp(path.data())) return fail_sys(errno, "make directory '{}'", path);
  return path;
}

}  // namespace

Result<Aside> make_aside(const std::string& parent) {
  for (;;) {
    Aside aside;
    TRY_AS(aside.path, make_unique_dir(parent, kNew));
    auto fd = sys::open(aside.path, kOpenDir);
    // A sweep in another process may have been faster than the lock: then the directory is gone, or about to be.
    if (fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) == 0 && sys::exists(aside.path)) {
      aside.lock = std::move(*fd);
      return aside;
    }
    if (!fd && fd.error().sys_errno != ENOENT) return std::move(fd.error());
  }
}

Result<Aside> move_aside(const std::string& dir) {
  Aside aside;
  TRY_AS(aside.lock, sys::open(dir, kOpenDir));
  if (::flock(aside.lock.get(), LOCK_EX | LOCK_NB) != 0) return fail_sys(errno, "lock '{}'", dir);
  TRY_AS(aside.path, make_unique_dir(sys::parent_dir(dir), kRemove));
  if (::rename(dir.c_str(), aside.path.c_str()) != 0) {
    const int err = errno;
    (void)sys::remove_dir(aside.path);
    return fail_sys(err, "rename '{}' to '{}'", dir, aside.path);
  }
  return aside;
}

Result<void> sweep_aside(const std::string& parent) {
  TRY_AS(const auto names, sys::list_dir(parent));
  for (const std::string& name : names) {
    if (!name.starts_with(kNew) && !name.starts_with(kRemove)) continue;
    const std::string path = parent + "/" + name;
    const auto fd = sys::open(path, kOpenDir);
    if (fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) == 0) TRY(sys::remove_tree(path), "left-over '{}'", path);
  }
  return {};
}

}  // namespace vz::storage
