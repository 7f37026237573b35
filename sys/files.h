// Files and directories. Everything is opened close-on-exec. Paths that a guest can influence go through open_in(),
// which resolves them inside a directory and never follows a symbolic link out of it (openat2(2), RESOLVE_IN_ROOT).
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::sys {

Result<UniqueFd> open(const std::string& path, int flags, mode_t mode = 0);
Result<UniqueFd> open_at(int dir, const std::string& path, int flags, mode_t mode = 0);
// PATH as a process chrooted into ROOT_FD would see it; magic links (/proc/N/fd) are refused.
Result<UniqueFd> open_in(int root_fd, const std::string& path, int flags, mode_t mode = 0);
// PATH below DIR; a symbolic link anywhere in it, ".." out of DIR or an absolute path is an error (RESOLVE_BENEATH).
Result<UniqueFd> open_beneath(int dir, const std::string& path, int flags, mode_t mode = 0);

// Whole file; `limit` bytes at most, a longer one is an error (Code::invalid).
Result<std::string> read_file(const std::string& path, size_t limit = 16u << 20);
Result<std::string> read_fd(int fd, size_t limit = 16u << 20);
// One write(2): cgroup, proc and sysfs files take all or nothing; a short write is an error.
Result<void> write_once(int fd, std::string_view text);
Result<void> write_file(const std::string& path, std::string_view text);  // existing file, no truncation
Result<void> write_all(int fd, std::string_view bytes);
// PATH.tmp, fsync, rename, fsync of the directory; not DURABLE: without the two fsyncs, which a power cut may undo. A
// symbolic link at PATH is followed, its target replaced.
Result<void> replace_file(const std::string& path, std::string_view text, mode_t mode = 0644, bool durable = true);

bool exists(const std::string& path);  // follows symbolic links
Result<struct ::stat> stat(const std::string& path);
Result<void> make_dirs(const std::string& path, mode_t mode = 0755);  // mkdir -p
Result<void> remove_file(const std::string& path);                    // absent is fine
Result<void> remove_dir(const std::string& path);                     // empty directory; absent is fine
// rm -r that never leaves the file system of PATH and never follows a symbolic link; absent is fine.
Result<void> remove_tree(const std::string& path);
// Names without "." and "..", sorted.
Result<std::vector<std::string>> list_dir(const std::string& path);
Result<std::vector<std::string>> list_dir(int dir_fd);
Result<void> sync_fs(const std::string& path);  // syncfs(2) of the file system PATH is on
Result<std::string> read_link(const std::string& path);
Result<std::string> real_path(const std::string& path);  // absolute, without symbolic links
std::string parent_dir(const std::string& path);         // "/a/b" -> "/a"
std::string base_name(std::string_view path);            // "/a/b" -> "b"

}  // namespace vz::sys
