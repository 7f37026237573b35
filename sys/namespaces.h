// Namespaces and the process that is born into them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "base/result.h"
#include "sys/process.h"
#include "sys/unique_fd.h"

namespace vz::sys {

// COUNT ids from 0 inside are shown as ids from FIRST outside.
struct IdRange {
  uint32_t first = 0;
  uint32_t count = 65536;
};

// clone3(2). FLAGS are CLONE_*; INTO_CGROUP, when not -1, is a cgroup2 directory the child is born in (Linux 5.7).
// Returns twice like fork(2).
Result<Forked> clone_process(uint64_t flags, int into_cgroup);
Result<void> write_id_maps(pid_t pid, IdRange range);
// A user namespace without processes, for idmapped mounts.
Result<UniqueFd> make_user_ns(IdRange range);
// /proc/PID/ns/KIND, kind as there: "user", "net", "mnt", "pid" ...
Result<UniqueFd> open_ns(pid_t pid, const std::string& kind);
// setns(2) into several namespaces of one process at once (pidfd, Linux 5.8) or into the one FD names.
Result<void> enter_ns(int fd, int flags);
// Two descriptors of one and the same namespace (device and inode).
Result<bool> same_ns(int a, int b);

}  // namespace vz::sys
