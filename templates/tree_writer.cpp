#include "templates/tree_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "sys/files.h"

namespace vz::templates {

namespace {

// Runs MAKE (0 or -1 with errno); what the archive has put there before gives way.
template <class Make>
Result<void> make_anew(int dir, const std::string& name, Make make) {
  if (make() == 0) return {};
  if (errno == EEXIST && ::unlinkat(dir, name.c_str(), 0) == 0 && make() == 0) return {};
  return fail_sys(errno, "make '{}'", name);
}

// chown(2) drops setuid bits and capabilities, an ACL changes the mode, and everything changes the times: in this
// order.
Result<void> apply(int fd, const Attributes& a) {
  if (::fchown(fd, a.uid, a.gid) != 0) return fail_sys(errno, "set owner {}:{}", a.uid, a.gid);
  if (::fchmod(fd, a.mode) != 0) return fail_sys(errno, "set mode {:o}", a.mode);
  for (const auto& [name, value] : a.xattrs)
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0)
      return fail_sys(errno, "set attribute {}", name);
  const timespec times[2] = {a.atime, a.mtime};
  if (::futimens(fd, times) != 0) return fail_sys(errno, "set times");
  return {};
}

Result<void> apply_link(int dir, const std::string& name, const Attributes& a) {
  const timespec times[2] = {a.atime, a.mtime};
  if (::fchownat(dir, name.c_str(), a.uid, a.gid, AT_SYMLINK_NOFOLLOW) != 0)
    return fail_sys(errno, "set owner {}:{}", a.uid, a.gid);
  if (::utimensat(dir, name.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) return fail_sys(errno, "set times");
  return {};
}

Result<void> write_at(int fd, std::string_view bytes, uint64_t offset) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_sys(errno, "write");
    bytes.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

// Leaves holes where the archive has them.
Result<void> copy_data(int fd, uint64_t size, TarStream& stream) {
  Block block;
  uint64_t end = 0;
  for (;;) {
    TRY_AS(const bool more, stream.read_block(block));
    if (!more) break;
    if (block.bytes.empty()) continue;
    if (block.offset > size || block.bytes.size() > size - block.offset)
      return fail(Code::invalid, "longer than its size");
    TRY(write_at(fd, block.bytes, block.offset));
    end = block.offset + block.bytes.size();
  }
  if (end < size && ::ftruncate(fd, static_cast<off_t>(size)) != 0) return fail_sys(errno, "set size {}", size);
  return {};
}

Attributes fresh_directory() {
  Attributes a;
  a.uid = ::geteuid();
  a.gid = ::getegid();
  a.mode = 0755;
  a.atime = a.mtime = {0, UTIME_NOW};
  return a;
}

}  // namespace

TreeWriter::TreeWriter(int root_fd) : root_(root_fd) { directories_.emplace("", fresh_directory()); }

Result<void> TreeWriter::add(const Entry& entry, TarStream& stream) {
  switch (entry.kind) {
    case Entry::Kind::skipped:
      return {};
    case Entry::Kind::directory:
      return add_directory(entry);
    case Entry::Kind::file:
      return add_file(entry, stream);
    case Entry::Kind::symlink:
      return add_symlink(entry);
    case Entry::Kind::hardlink:
      return add_hardlink(entry);
    case Entry::Kind::fifo:
      return add_fifo(entry);
  }
  return {};
}

Result<void> TreeWriter::finish() {
  parent_.reset();
  for (const auto& [path, attributes] : directories_) {
    const std::string name = path.empty() ? "." : path;
    TRY_AS(sys::UniqueFd fd, sys::open_beneath(root_, name, O_RDONLY | O_DIRECTORY));
    TRY(apply(fd.get(), attributes), "directory '{}'", path);
  }
  return {};
}

// Directory and last component of PATH; missing directories above it are made.
Result<TreeWriter::Place> TreeWriter::place_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return Place{root_, path};
  const std::string parent = path.substr(0, slash);
  if (!parent_ || parent != parent_path_) {
    TRY_AS(parent_, open_directory(parent));
    parent_path_ = parent;
  }
  return Place{parent_.get(), path.substr(slash + 1)};
}

Result<sys::UniqueFd> TreeWriter::open_directory(const std::string& path) {
  auto fd = sys::open_beneath(root_, path, O_PATH | O_DIRECTORY);
  if (fd || fd.error().sys_errno != ENOENT) return fd;
  for (size_t slash = 0; slash != std::string::npos;) {
    slash = path.find('/', slash + 1);
    TRY(make_directory(path.substr(0, slash)));
  }
  return sys::open_beneath(root_, path, O_PATH | O_DIRECTORY);
}

// An existing one is fine; others cannot enter it before finish().
Result<void> TreeWriter::make_directory(const std::string& path) {
  sys::UniqueFd above;
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos) {
    TRY_AS(above, sys::open_beneath(root_, path.substr(0, slash), O_PATH | O_DIRECTORY));
  }
  const std::string name = path.substr(slash + 1);
  if (::mkdirat(above ? above.get() : root_, name.c_str(), 0700) == 0) {
    directories_.emplace(path, fresh_directory());
    return {};
  }
  if (errno != EEXIST) return fail_sys(errno, "make directory '{}'", path);
  return {};
}

Result<void> TreeWriter::add_directory(const Entry& entry) {
  if (!entry.path.empty()) {
    TRY_AS(const Place at, place_of(entry.path));
    if (::mkdirat(at.dir, at.name.c_str(), 0700) != 0 && errno != EEXIST) return fail_sys(errno, "make directory");
  }
  directories_.insert_or_assign(entry.path, entry.attributes);
  return {};
}

Result<void> TreeWriter::add_file(const Entry& entry, TarStream& stream) {
  TRY_AS(const Place at, place_of(entry.path));
  sys::UniqueFd fd;
  TRY(make_anew(at.dir, at.name, [&] {
    fd.reset(::openat(at.dir, at.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    return fd ? 0 : -1;
  }));
  TRY(copy_data(fd.get(), entry.size, stream));
  return apply(fd.get(), entry.attributes);
}

Result<void> TreeWriter::add_symlink(const Entry& entry) {
  TRY_AS(const Place at, place_of(entry.path));
  TRY(make_anew(at.dir, at.name, [&] { return ::symlinkat(entry.link.c_str(), at.dir, at.name.c_str()); }));
  return apply_link(at.dir, at.name, entry.attributes);
}

Result<void> TreeWriter::add_hardlink(const Entry& entry) {
  if (entry.link == entry.path) return {};
  const size_t slash = entry.link.rfind('/');
  sys::UniqueFd above;
  if (slash != std::string::npos) {
    TRY_AS(above, sys::open_beneath(root_, entry.link.substr(0, slash), O_PATH | O_DIRECTORY));
  }
  const std::string target = entry.link.substr(slash + 1);
  TRY_AS(const Place at, place_of(entry.path));
  return make_anew(at.dir, at.name,
                   [&] { return ::linkat(above ? above.get() : root_, target.c_str(), at.dir, at.name.c_str(), 0); });
}

Result<void> TreeWriter::add_fifo(const Entry& entry) {
  TRY_AS(const Place at, place_of(entry.path));
  TRY(make_anew(at.dir, at.name, [&] { return ::mknodat(at.dir, at.name.c_str(), S_IFIFO | 0600, 0); }));
  TRY(apply_link(at.dir, at.name, entry.attributes));
  if (::fchmodat(at.dir, at.name.c_str(), entry.attributes.mode, 0) != 0) return fail_sys(errno, "set mode");
  return {};
}

}  // namespace vz::templates
