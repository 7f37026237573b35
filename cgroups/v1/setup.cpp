#include "cgroups/v1/setup.h"

#include <fcntl.h>

#include <cerrno>

#include "cgroups/devices.h"
#include "cgroups/tree.h"
#include "sys/files.h"

namespace vz::cgroups::v1 {

Result<void> set_up_cpuset(const std::string& mount, const std::string& parent, const std::string& group) {
  for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
    TRY_AS(std::string value, read_value(parent + file));
    if (value.empty()) {
      TRY_AS(value, read_value(mount + file));
      TRY(sys::write_file(parent + file, value));
    }
    TRY(sys::write_file(group + file, value));
  }
  return {};
}

Result<void> set_up_devices(const std::string& group, std::span<const Device> more) {
  TRY(sys::write_file(group + "/devices.deny", "a"));
  TRY_AS(const sys::UniqueFd allow, sys::open(group + "/devices.allow", O_WRONLY));
  std::vector<Device> allowed(kDevices.begin(), kDevices.end());
  allowed.insert(allowed.end(), more.begin(), more.end());
  for (const Device& d : allowed) {
    const std::string minor = d.minor == kAnyMinor ? "*" : std::to_string(d.minor);
    const std::string device = fmt::format("c {}:{} {}{}", d.major, minor, d.read ? "r" : "", d.write ? "w" : "");
    const auto r = sys::write_once(allow.get(), device);
    // EPERM: the host's own group has not got it (we may be in a container), so no CT can have it.
    if (!r && r.error().sys_errno != EPERM)
      return fail_sys(r.error().sys_errno, "allow device '{}' in '{}'", device, group);
  }
  return {};
}

}  // namespace vz::cgroups::v1
