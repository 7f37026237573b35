// Mounts, by the descriptor-based calls where they exist (open_tree(2), mount_setattr(2), move_mount(2), fsopen(2)).
#pragma once

#include <string>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::sys {

// mount(2); FLAGS are MS_*.
Result<void> mount(const std::string& source, const std::string& target, const std::string& type, unsigned long flags,
                   const std::string& data = "");
Result<void> bind(const std::string& source, const std::string& target);
// The mount at PATH is left out when a tree that it is part of is bound elsewhere, as for a service with a root of its
// own.
Result<void> make_unbindable(const std::string& path);
// The mount at PATH as a detached copy, with those below it where BELOW; nobody sees it until move_mount.
Result<UniqueFd> clone_tree(const std::string& path, bool below = false);
// Detached mount only: from now on ids on disk are shown through the map of this user namespace (idmapped mount), and
// set-user-id programs have their effect, within the map.
Result<void> set_idmap(int tree_fd, int user_ns_fd);
// The ids alone.
Result<void> add_idmap(int tree_fd, int user_ns_fd);
// As set_idmap(), and the ids of all mounts below as well. An error, and no id is mapped: one of
// them is mapped already (EPERM), or its file system cannot be (EINVAL).
Result<void> set_idmaps(int tree_fd, int user_ns_fd);
// Programs at PATH run as who starts them, whatever their mode and capabilities.
Result<void> ignore_setuid(const std::string& path);
// The mount at PATH, and nothing else of it changes.
Result<void> make_read_only(const std::string& path);
Result<void> attach(int tree_fd, const std::string& target);
Result<void> attach(int tree_fd, int target_fd);     // O_PATH
Result<void> make_private(const std::string& path);  // and everything below
Result<void> umount(const std::string& path);        // busy is an error
Result<void> umount_lazy(const std::string& path);   // MNT_DETACH; not a mount point is an error
bool is_mount_point(const std::string& path);        // statx(2) STATX_ATTR_MOUNT_ROOT

}  // namespace vz::sys
