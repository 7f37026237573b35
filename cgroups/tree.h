// The directories of one CT and the files in them: what the sources of this layer share.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cgroups/cgroups.h"

namespace vz::cgroups {

// Bounds of a CT's groups in the cgroup2 hierarchy, its own directory included. The kernel holds the guest to them
// (cgroup.max.*), so that no walk can be made endless.
inline constexpr int kMaxDepth = 64;
inline constexpr size_t kMaxDirectories = 20000;

// A name that stays one directory below `vz`: an empty one would mean all CTs, ".." the whole host.
Result<void> check_name(const std::string& name);
std::string group_path(const std::string& mount, const std::string& name);  // MOUNT/vz/NAME
// Mount points of the v1 hierarchies, co-mounted controllers once.
std::vector<std::string> v1_mounts(const Host& host);

// Without the newline.
Result<std::string> read_value(const std::string& path);
Result<std::string> read_value_at(int dir, const std::string& file);
// The number behind KEY (find_number()); without a key the whole text.
std::optional<uint64_t> read_number(const std::string& path, std::string_view key = {});

// True: made now. False: it was there.
Result<bool> make_dir(const std::string& path);
// Names of the directories in DIR, in the kernel's order.
Result<std::vector<std::string>> sub_directories(int dir);
// Every directory from TOP (path "") down, parents first. One that vanishes meanwhile is left out; more or deeper ones
// than the bounds are an error. By descriptors: a guest's paths may be longer than PATH_MAX.
using Visit = std::function<Result<void>(int dir, const std::string& path)>;
Result<void> walk(const std::string& top, const Visit& visit);

using Deadline = std::chrono::steady_clock::time_point;
Deadline after(std::chrono::milliseconds timeout);
// Waits for the next try, longer each time; false: the time is up.
class Backoff {
 public:
  explicit Backoff(Deadline deadline) : deadline_(deadline) {}
  // POLL_FD, when not -1: returns early on POLLPRI.
  bool wait(int poll_fd = -1);

 private:
  Deadline deadline_;
  std::chrono::microseconds step_{50};
};

// Waits until KEY is VALUE in the cgroup.events file of the v2 directory GROUP. False: not in time.
Result<bool> wait_event(const std::string& group, std::string_view key, uint64_t value, Deadline deadline);
// Deepest first; absent is fine, EBUSY is tried again until DEADLINE.
Result<void> remove_group(const std::string& group, Deadline deadline);

}  // namespace vz::cgroups
