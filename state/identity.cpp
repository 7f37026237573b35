#include "state/identity.h"

#include <signal.h>

#include <cerrno>

#include "base/strings.h"
#include "sys/files.h"

namespace vz::state {

const std::string& boot_id() {
  static const std::string id = [] {
    const auto text = sys::read_file("/proc/sys/kernel/random/boot_id", 128);
    return text ? std::string(trim(*text)) : std::string();
  }();
  return id;
}

bool alive(pid_t pid) { return pid > 0 && (::kill(pid, 0) == 0 || errno == EPERM); }

}  // namespace vz::state
