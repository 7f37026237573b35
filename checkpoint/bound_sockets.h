// Unix sockets that a mount shows at a second place, as systemd does for services that live in a directory of their own
// (BindPaths=/dev/log). criu makes mounts first and sockets later, and so finds nothing to mount. What it gets instead
// is a socket that nobody listens at; the mount is made again when all sockets are there.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::checkpoint {

// More are not brought back, and so keep the container from being restored: each costs some of the freeze, and their
// names have to fit into one word of an environment (execve(2): 128 KiB).
constexpr size_t kMostSockets = 16;

struct BoundSocket {
  pid_t process = 0;  // one that sees it, as it is numbered in the container
  std::string at;     // where it is mounted, as that process sees it
  std::string path;   // the socket itself, likewise
  std::string name;   // the socket in its file system, "/systemd/journal/dev-log"
  bool read_only = false;
};

// Those of all mount namespaces that PIDS are in. Paths are the guest's.
Result<std::vector<BoundSocket>> bound_sockets(const std::vector<pid_t>& pids);
// Of the text of a mountinfo (proc_pid_mountinfo(5)) all mounts of something in a file system that is seen elsewhere
// too; only at, path, name and read_only are set. Pure.
std::vector<BoundSocket> bound_files(std::string_view mountinfo);

std::string print_sockets(const std::vector<BoundSocket>& sockets);
// TEXT is foreign. Code::invalid, also for more than kMostSockets.
Result<std::vector<BoundSocket>> parse_sockets(std::string_view text);

// What criu's environment must say for libexec/vessel/criu/tar to leave something to mount in each tmpfs.
std::string placeholders(const std::vector<BoundSocket>& sockets);
// Mounts them again, with the rights of the container's root: PIDS are the restored processes.
Result<void> bind_again(const std::vector<BoundSocket>& sockets, const std::vector<pid_t>& pids);

}  // namespace vz::checkpoint
