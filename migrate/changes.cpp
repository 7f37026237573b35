#include "migrate/changes.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>

#include "sys/files.h"

namespace vz::migrate {

namespace {

struct DirCloser {
  void operator()(DIR* d) const { ::closedir(d); }
};

struct Walk {
  timespec since;
  dev_t device;
  std::string found;

  bool changed(const struct ::stat& st) const {
    return st.st_ctim.tv_sec != since.tv_sec ? st.st_ctim.tv_sec > since.tv_sec : st.st_ctim.tv_nsec >= since.tv_nsec;
  }
  void add(const std::string& path) { (found += path) += '\0'; }

  Result<void> directory(int fd, const std::string& path) {
    std::unique_ptr<DIR, DirCloser> dir(::fdopendir(fd));
    if (!dir) return fail_sys(errno, "read directory '{}'", path);
    while (const dirent* e = ::readdir(dir.get())) {
      const std::string_view name = e->d_name;
      if (name == "." || name == "..") continue;
      TRY(entry(::dirfd(dir.get()), e->d_name, path.empty() ? std::string(name) : path + "/" + e->d_name));
    }
    return {};
  }

  Result<void> entry(int parent, const char* name, const std::string& path) {
    struct ::stat st {};
    if (::fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
      return errno == ENOENT ? Result<void>() : fail_sys(errno, "stat '{}'", path);
    if (st.st_dev != device) return {};
    if (changed(st)) add(S_ISDIR(st.st_mode) ? path + "/" : path);
    if (!S_ISDIR(st.st_mode)) return {};
    auto sub = sys::open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    return sub ? directory(sub->release(), path) : Result<void>();
  }
};

}  // namespace

timespec change_clock() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now;
}

Result<std::string> changed_since(const std::string& root, timespec since) {
  TRY_AS(sys::UniqueFd fd, sys::open(root, O_RDONLY | O_DIRECTORY));
  struct ::stat st {};
  if (::fstat(fd.get(), &st) != 0) return fail_sys(errno, "stat '{}'", root);
  Walk walk{since, st.st_dev, {}};
  if (walk.changed(st)) walk.add("./");
  TRY(walk.directory(fd.release(), ""));
  return std::move(walk.found);
}

}  // namespace vz::migrate
