#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "storage/aside.h"
#include "storage/layouts.h"
#include "storage/storage.h"
#include "sys/files.h"
#include "sys/mountinfo.h"
#include "sys/mounts.h"

namespace vz::storage {

using namespace std::chrono_literals;

namespace {

using config::Layout;

Error with_space_code(Error error, Code otherwise) {
  const bool full = error.disk_full() || error.text.find(std::strerror(ENOSPC)) != std::string::npos;
  if (error.code != Code::system && !full) return error;
  return std::move(error).with_code(full ? Code::no_space : otherwise);
}

// Files of a tree have the guest's ids, 0 included: whoever of the host's users could reach one set-user-ID to 0 is
// root.
void warn_if_open(const std::string& parent) {
  for (std::string at = parent;; at = sys::parent_dir(at)) {
    const auto st = sys::stat(at);
    if (!st || !(st->st_mode & S_IXOTH)) return;
    if (at == "/" || at == ".") break;
  }
  log::warn("every user of this host can look into the private areas in '{}'; run: chmod 700 {}", parent, parent);
}

Result<void> make_in(const std::string& path, const Area& area, const Quota& quota) {
  return area.layout == Layout::image ? image::make(path, quota) : dir::make(path);
}

// VE_PRIVATE may be a symbolic link to another disk.
std::string real_path(const std::string& path) {
  char resolved[PATH_MAX];
  return ::realpath(path.c_str(), resolved) ? std::string(resolved) : path;
}

bool is_half_mounted(const Area& area) { return area.layout == Layout::image && image::is_half_mounted(area); }

Result<void> undo_half_mount(const Area& area) {
  return is_half_mounted(area) ? sys::umount(area.root_dir) : Result<void>();
}

Result<DiskUsage> mounted_usage(const std::string& root_dir) {
  struct statvfs fs {};
  if (::statvfs(root_dir.c_str(), &fs) != 0) return fail_sys(errno, "read the usage of '{}'", root_dir);
  DiskUsage usage;
  usage.space_limit_kib = fs.f_blocks * fs.f_frsize / 1024;
  usage.space_kib = (fs.f_blocks - fs.f_bfree) * fs.f_frsize / 1024;
  usage.inodes_limit = fs.f_files;
  usage.inodes = fs.f_files - fs.f_ffree;
  return usage;
}

}  // namespace

Result<void> create(const Area& area, const Quota& quota) {
  if (area_exists(area.private_dir))
    return fail(Code::private_exists, "Private area already exists in {}", area.private_dir);
  const std::string target = real_path(area.private_dir);
  const std::string parent = sys::parent_dir(target);
  if (auto made = sys::make_dirs(parent, 0700); !made)
    return with_space_code(std::move(made.error()), Code::private_failed);
  warn_if_open(parent);
  auto aside = make_aside(parent);
  if (!aside) return with_space_code(std::move(aside.error()), Code::private_failed);
  Rollback undo;
  undo.add("remove the half-made private area", [path = aside->path] { return sys::remove_tree(path); });
  if (auto made = make_in(aside->path, area, quota); !made)
    return with_space_code(std::move(made.error()), Code::private_failed);
  // Replaces an empty directory, refuses anything else.
  if (::rename(aside->path.c_str(), target.c_str()) != 0) {
    const bool there = errno == ENOTEMPTY || errno == EEXIST;
    return Error::sys(errno, fmt::format("make '{}'", target), there ? Code::private_exists : Code::private_failed);
  }
  undo.commit();
  return {};
}

Result<void> destroy(const Area& area) {
  const std::string target = real_path(area.private_dir);
  if (is_mounted(area)) return fail(Code::mounted, "'{}' is mounted; unmount it first", area.root_dir);
  TRY(undo_half_mount(area));
  if (area.layout == Layout::image && image::in_use(area))
    return fail(Code::mounted, "'{}/{}' is in use", area.private_dir, kImageName);
  const std::string parent = sys::parent_dir(target);
  if (!sys::exists(target)) {
    if (sys::exists(parent)) TRY(sweep_aside(parent));
    return fail(Code::no_private, "Private area {} does not exist", area.private_dir);
  }
  TRY_AS(const Aside aside, move_aside(target), "destroy");
  if (auto gone = sys::remove_tree(aside.path); !gone) return std::move(gone.error()).with_code(Code::destroy_failed);
  TRY(sweep_aside(parent));
  if (target != area.private_dir) TRY(sys::remove_file(area.private_dir));
  (void)::rmdir(area.root_dir.c_str());  // stays when it is somebody's
  return {};
}

Result<void> mount(const Area& area) {
  if (is_mounted(area)) return fail(Code::mounted, "'{}' is already mounted", area.root_dir);
  if (!sys::exists(area.private_dir)) return fail(Code::no_private, "Private area {} does not exist", area.private_dir);
  TRY(undo_half_mount(area));
  Rollback undo;
  if (!sys::exists(area.root_dir))
    undo.add("remove the mount point", [d = area.root_dir] { return sys::remove_dir(d); });
  TRY(sys::make_dirs(area.root_dir, 0700));
  auto mounted = area.layout == Layout::image ? image::mount(area) : dir::mount(area);
  if (mounted) {
    undo.add("unmount", [d = area.root_dir] { return sys::umount(d); });
    mounted = sys::ignore_setuid(area.root_dir);
  }
  if (mounted) undo.commit();
  if (!mounted && mounted.error().code == Code::system) return std::move(mounted.error()).with_code(Code::mount_failed);
  return mounted;
}

namespace {

Result<void> umount_below(const std::string& root_dir) {
  for (;;) {
    TRY_AS(const auto mounts, sys::mounts_below(root_dir));
    Result<void> failure;
    bool fewer = false;
    for (const sys::MountPoint& m : mounts) {
      auto done = sys::umount(m.path);
      fewer = fewer || done;
      if (!done && failure) failure = std::move(done);
    }
    // What another one hides comes into reach when that is gone.
    if (!fewer) return failure;
  }
}

}  // namespace

Result<void> umount(const Area& area, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (is_mounted(area)) {
    auto done = sys::umount(area.root_dir);
    if (done) return done;
    if (done.error().sys_errno == EBUSY) {
      if (auto below = umount_below(area.root_dir); !below) done = std::move(below);
    }
    // Whoever looks up its path makes it busy: a df, another umount that is about to succeed.
    if (done.error().sys_errno == EBUSY && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(5ms);
    else if (is_mounted(area))
      return std::move(done.error()).with_code(Code::umount_failed);
  }
  return fail(Code::not_mounted, "'{}' is not mounted", area.root_dir);
}

bool is_mounted(const Area& area) { return sys::is_mount_point(area.root_dir) && !is_half_mounted(area); }

Result<std::string> block_device(const Area& area) {
  TRY_AS(const auto st, sys::stat(area.root_dir));
  const std::string number = fmt::format("{}:{}", major(st.st_dev), minor(st.st_dev));
  const std::string known = "/sys/dev/block/" + number;
  if (major(st.st_dev) == 0 || !sys::exists(known))
    return fail(Code::unsupported, "the file system of '{}' is on no block device that could be limited",
                area.root_dir);
  if (!sys::exists(known + "/partition")) return number;
  TRY_AS(const std::string disk, sys::read_file(known + "/../dev"));
  return std::string(trim(disk));
}

Result<void> sync(const Area& area) { return sys::sync_fs(area.root_dir); }

Result<void> flush_to_image(const Area& area) {
  return area.layout == Layout::image ? image::flush(area) : Result<void>();
}

Result<void> resize(const Area& area, const Quota& quota) {
  if (area.layout != Layout::image)
    return fail(Code::unsupported, "'{}' is a directory and has no size of its own (VE_LAYOUT=image has)",
                area.private_dir);
  auto done = image::resize(area, quota, is_mounted(area));
  if (!done && done.error().code == Code::system) return std::move(done.error()).with_code(Code::resize_failed);
  return done;
}

Result<Compacted> compact(const Area& area) {
  if (area.layout != Layout::image)
    return fail(Code::unsupported, "'{}' is a directory: what is removed in it is free at once", area.private_dir);
  auto done = image::compact(area);
  if (!done && done.error().code == Code::system) return std::move(done.error()).with_code(Code::compact_failed);
  return done;
}

Result<DiskUsage> usage(const Area& area) {
  if (is_mounted(area)) return mounted_usage(area.root_dir);
  if (area.layout == Layout::image) return image::stored_usage(area);
  return fail(Code::not_mounted, "'{}' is not mounted and has no counters of its own", area.private_dir);
}

}  // namespace vz::storage
