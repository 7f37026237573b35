#include "sys/mounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace vz::sys {

namespace {

Result<void> set_attribute(const std::string& path, uint64_t attribute, const char* word) {
  mount_attr attr{};
  attr.attr_set = attribute;
  if (::syscall(SYS_mount_setattr, AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, &attr, sizeof attr) != 0)
    return fail_sys(errno, "mount '{}' {}", path, word);
  return {};
}

Result<void> map_ids(int tree_fd, int user_ns_fd, uint64_t clear, unsigned depth) {
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_IDMAP;
  attr.attr_clr = clear;
  attr.userns_fd = static_cast<uint64_t>(user_ns_fd);
  if (::syscall(SYS_mount_setattr, tree_fd, "", AT_EMPTY_PATH | depth, &attr, sizeof attr) != 0)
    return fail_sys(errno, "map the ids of a mount");
  return {};
}

}  // namespace

Result<void> mount(const std::string& source, const std::string& target, const std::string& type, unsigned long flags,
                   const std::string& data) {
  if (::mount(source.c_str(), target.c_str(), type.empty() ? nullptr : type.c_str(), flags,
              data.empty() ? nullptr : data.c_str()) != 0)
    return fail_sys(errno, "mount '{}' on '{}'", source, target);
  return {};
}

Result<void> bind(const std::string& source, const std::string& target) { return mount(source, target, "", MS_BIND); }

Result<void> make_unbindable(const std::string& path) { return mount("", path, "", MS_UNBINDABLE); }

Result<UniqueFd> clone_tree(const std::string& path, bool below) {
  const unsigned depth = below ? AT_RECURSIVE : 0;
  UniqueFd fd{
      static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, path.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | depth))};
  if (!fd) return fail_sys(errno, "clone the mount '{}'", path);
  // Under systemd all mounts are shared, and a clone stays in touch with its source: pivot_root refuses it, and what is
  // mounted in the one would show up in the other.
  mount_attr attr{};
  attr.propagation = MS_PRIVATE;
  if (::syscall(SYS_mount_setattr, fd.get(), "", AT_EMPTY_PATH | depth, &attr, sizeof attr) != 0)
    return fail_sys(errno, "make the clone of '{}' private", path);
  return fd;
}

Result<void> set_idmap(int tree_fd, int user_ns_fd) { return map_ids(tree_fd, user_ns_fd, MOUNT_ATTR_NOSUID, 0); }

Result<void> add_idmap(int tree_fd, int user_ns_fd) { return map_ids(tree_fd, user_ns_fd, 0, 0); }

Result<void> set_idmaps(int tree_fd, int user_ns_fd) {
  TRY(map_ids(tree_fd, user_ns_fd, 0, AT_RECURSIVE));
  mount_attr top{};
  top.attr_clr = MOUNT_ATTR_NOSUID;
  if (::syscall(SYS_mount_setattr, tree_fd, "", AT_EMPTY_PATH, &top, sizeof top) != 0)
    return fail_sys(errno, "let set-user-id programs have their effect");
  return {};
}

Result<void> ignore_setuid(const std::string& path) { return set_attribute(path, MOUNT_ATTR_NOSUID, "nosuid"); }

Result<void> make_read_only(const std::string& path) { return set_attribute(path, MOUNT_ATTR_RDONLY, "read-only"); }

Result<void> attach(int tree_fd, const std::string& target) {
  if (::syscall(SYS_move_mount, tree_fd, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return fail_sys(errno, "attach a mount to '{}'", target);
  return {};
}

Result<void> attach(int tree_fd, int target_fd) {
  if (::syscall(SYS_move_mount, tree_fd, "", target_fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return fail_sys(errno, "attach a mount");
  return {};
}

Result<void> make_private(const std::string& path) { return mount("none", path, "", MS_REC | MS_PRIVATE); }

Result<void> umount(const std::string& path) {
  if (::umount2(path.c_str(), UMOUNT_NOFOLLOW) != 0) return fail_sys(errno, "unmount '{}'", path);
  return {};
}

Result<void> umount_lazy(const std::string& path) {
  if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) return fail_sys(errno, "unmount '{}'", path);
  return {};
}

bool is_mount_point(const std::string& path) {
  struct statx st {};
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &st) != 0) return false;
  return (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) && (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

}  // namespace vz::sys
