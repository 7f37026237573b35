#include "sys/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace vz::sys {

namespace {

struct DirCloser {
  void operator()(DIR* d) const { ::closedir(d); }
};
using Dir = std::unique_ptr<DIR, DirCloser>;

bool dot(const char* name) { return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])); }

// A guest may nest directories deeper than we have descriptors or stack: what lies too deep is moved up to TOP, which
// is read again until nothing is left in it.
struct Removal {
  int top = -1;
  dev_t dev = 0;
  uint64_t moved = 0;
};
constexpr int kMaxDepth = 64;

Result<void> remove_below(Removal& removal, int dir_fd, int depth, const std::string& path);

Result<void> remove_child_dir(Removal& removal, int at, const char* name, int depth, const std::string& child) {
  UniqueFd sub{::openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  struct ::stat st {};
  if (!sub || ::fstat(sub.get(), &st) != 0) return fail_sys(errno, "open '{}'", child);
  if (st.st_dev != removal.dev) return fail(Code::system, "'{}' is a mount point; unmount it first", child);
  if (depth == kMaxDepth) {
    const std::string up = fmt::format(".deep-{}-{}", st.st_ino, ++removal.moved);
    if (::renameat2(at, name, removal.top, up.c_str(), RENAME_NOREPLACE) != 0)
      return fail_sys(errno, "move '{}'", child);
    return {};
  }
  TRY(remove_below(removal, sub.release(), depth + 1, child));
  if (::unlinkat(at, name, AT_REMOVEDIR) != 0) return fail_sys(errno, "remove directory '{}'", child);
  return {};
}

Result<void> remove_below(Removal& removal, int dir_fd, int depth, const std::string& path) {
  Dir dir{::fdopendir(dir_fd)};
  if (!dir) {
    const int err = errno;
    UniqueFd closer(dir_fd);
    return fail_sys(err, "read directory '{}'", path);
  }
  const int at = ::dirfd(dir.get());
  for (uint64_t moved = removal.moved;; moved = removal.moved) {
    while (const dirent* e = ::readdir(dir.get())) {
      if (dot(e->d_name) || ::unlinkat(at, e->d_name, 0) == 0) continue;
      const std::string child = path + "/" + e->d_name;
      if (errno != EISDIR && errno != EPERM) return fail_sys(errno, "remove '{}'", child);
      TRY(remove_child_dir(removal, at, e->d_name, depth, child));
    }
    if (depth > 0 || moved == removal.moved) return {};
    ::rewinddir(dir.get());
  }
}

Result<std::vector<std::string>> read_names(UniqueFd fd) {
  Dir dir{::fdopendir(fd.get())};
  if (!dir) return fail_sys(errno, "read directory");
  (void)fd.release();
  std::vector<std::string> out;
  while (const dirent* e = ::readdir(dir.get()))
    if (!dot(e->d_name)) out.emplace_back(e->d_name);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Result<UniqueFd> open_at(int dir, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd{::openat(dir, path.c_str(), flags | O_CLOEXEC, mode)};
  if (!fd) return fail_sys(errno, "open '{}'", path);
  return fd;
}

Result<UniqueFd> open(const std::string& path, int flags, mode_t mode) { return open_at(AT_FDCWD, path, flags, mode); }

Result<UniqueFd> open_in(int root_fd, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  UniqueFd fd{static_cast<int>(::syscall(SYS_openat2, root_fd, path.c_str(), &how, sizeof how))};
  if (!fd) return fail_sys(errno, "open '{}' in the container", path);
  return fd;
}

Result<UniqueFd> open_beneath(int dir, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd fd{static_cast<int>(::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how))};
  if (!fd) return fail_sys(errno, "open '{}'", path);
  return fd;
}

Result<std::string> read_fd(int fd, size_t limit) {
  std::string out;
  for (;;) {
    const size_t have = out.size();
    out.resize(have + 4096);
    const ssize_t n = ::read(fd, out.data() + have, 4096);
    out.resize(have + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return out;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_sys(errno, "read");
    if (out.size() > limit) return fail(Code::invalid, "longer than {} bytes", limit);
  }
}

Result<std::string> read_file(const std::string& path, size_t limit) {
  TRY_AS(UniqueFd fd, open(path, O_RDONLY));
  TRY_AS(std::string text, read_fd(fd.get(), limit), "'{}'", path);
  return text;
}

Result<void> write_once(int fd, std::string_view text) {
  const ssize_t n = ::write(fd, text.data(), text.size());
  if (n < 0) return fail_sys(errno, "write '{}'", text);
  if (static_cast<size_t>(n) != text.size()) return fail(Code::system, "short write of '{}'", text);
  return {};
}

Result<void> write_file(const std::string& path, std::string_view text) {
  TRY_AS(UniqueFd fd, open(path, O_WRONLY));
  TRY(write_once(fd.get(), text), "'{}'", path);
  return {};
}

Result<void> write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_sys(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<void> replace_file(const std::string& path, std::string_view text, mode_t mode, bool durable) {
  char resolved[PATH_MAX];
  const std::string target = ::realpath(path.c_str(), resolved) ? std::string(resolved) : path;
  const std::string tmp = target + ".tmp";
  TRY_AS(UniqueFd fd, open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode));
  auto made = [&]() -> Result<void> {
    TRY(write_all(fd.get(), text), "'{}'", tmp);
    if (::fchmod(fd.get(), mode) != 0 || (durable && ::fsync(fd.get()) != 0)) return fail_sys(errno, "sync '{}'", tmp);
    if (::rename(tmp.c_str(), target.c_str()) != 0) return fail_sys(errno, "rename '{}' to '{}'", tmp, target);
    return {};
  }();
  if (!made) (void)remove_file(tmp);
  if (!made || !durable) return made;
  TRY_AS(UniqueFd dir, open(parent_dir(target), O_RDONLY | O_DIRECTORY));
  if (::fsync(dir.get()) != 0) return fail_sys(errno, "sync '{}'", parent_dir(target));
  return {};
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<struct ::stat> stat(const std::string& path) {
  struct ::stat st {};
  if (::stat(path.c_str(), &st) != 0) return fail_sys(errno, "stat '{}'", path);
  return st;
}

Result<void> make_dirs(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  if (errno == ENOENT && path.find('/', 1) != std::string::npos) {
    TRY(make_dirs(parent_dir(path), mode));
    if (::mkdir(path.c_str(), mode) == 0) return {};
  }
  struct ::stat st {};
  if (errno == EEXIST && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode)) return {};
  return fail_sys(errno, "make directory '{}'", path);
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_sys(errno, "remove '{}'", path);
  return {};
}

Result<void> remove_dir(const std::string& path) {
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return fail_sys(errno, "remove directory '{}'", path);
  return {};
}

Result<void> remove_tree(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM) return fail_sys(errno, "remove '{}'", path);
  TRY_AS(UniqueFd dir, open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  struct ::stat st {};
  if (::fstat(dir.get(), &st) != 0) return fail_sys(errno, "stat '{}'", path);
  const UniqueFd top{::fcntl(dir.get(), F_DUPFD_CLOEXEC, 0)};
  if (!top) return fail_sys(errno, "open '{}'", path);
  Removal removal{top.get(), st.st_dev, 0};
  TRY(remove_below(removal, dir.release(), 0, path));
  return remove_dir(path);
}

Result<std::vector<std::string>> list_dir(const std::string& path) {
  TRY_AS(UniqueFd fd, open(path, O_RDONLY | O_DIRECTORY));
  TRY_AS(std::vector<std::string> names, read_names(std::move(fd)), "'{}'", path);
  return names;
}

Result<std::vector<std::string>> list_dir(int dir_fd) {
  TRY_AS(UniqueFd fd, open_at(dir_fd, ".", O_RDONLY | O_DIRECTORY));
  return read_names(std::move(fd));
}

Result<void> sync_fs(const std::string& path) {
  TRY_AS(UniqueFd fd, open(path, O_RDONLY));
  if (::syncfs(fd.get()) != 0) return fail_sys(errno, "sync the file system of '{}'", path);
  return {};
}

Result<std::string> read_link(const std::string& path) {
  char buf[PATH_MAX];
  const ssize_t n = ::readlink(path.c_str(), buf, sizeof buf);
  if (n < 0) return fail_sys(errno, "read link '{}'", path);
  return std::string(buf, static_cast<size_t>(n));
}

Result<std::string> real_path(const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  if (!real) return fail_sys(errno, "resolve '{}'", path);
  return std::string(real.get());
}

std::string parent_dir(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string base_name(std::string_view path) { return std::string(path.substr(path.find_last_of('/') + 1)); }

}  // namespace vz::sys
