// What changes in a tree from some moment on, as the kernel reports it (fanotify(7)): the last copy, in the freeze,
// then need not look at every file.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "migrate/changes.h"
#include "sys/unique_fd.h"

namespace vz::migrate {

class ChangeWatch {
 public:
  // Code::unsupported: not on this kernel (it takes Linux 5.9) or file system.
  Result<void> begin(const std::string& root);
  // As changed_since(), of what changed since begin() or the last call. PIDS (frozen) may write through mappings, which
  // the kernel does not report before the file is closed: what they have mapped or open counts when its change time is
  // SINCE or later. nullopt: not all is known (too many changes at once, a file with several names), and the tree has
  // to be walked.
  std::optional<Names> changes(const std::vector<pid_t>& pids, timespec since);
  // Lets go of ROOT, which else cannot be unmounted.
  void end();

 private:
  bool add_event(const char* record, size_t size, uint64_t mask);
  bool add_entry(int fd, const std::string& directory, const std::string& name, uint64_t mask);
  bool add_tree(const std::string& path);
  bool add_open(pid_t pid, timespec since);
  bool add_file(const std::string& path, ino_t inode, timespec since);

  std::string root_;
  dev_t device_ = 0;
  sys::UniqueFd root_fd_, events_;
  Names found_;
};

// A mapping in /proc/PID/maps that writes to a file. Pure.
struct SharedMapping {
  unsigned major = 0, minor = 0;
  ino_t inode = 0;
  std::string path;  // from the root of its mount
};
std::vector<SharedMapping> shared_mappings(std::string_view maps);

}  // namespace vz::migrate
