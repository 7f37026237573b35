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

namespace {

std::string line_of(const Device& d) {
  const std::string minor = d.minor == kAnyMinor ? "*" : std::to_string(d.minor);
  return fmt::format("c {}:{} {}{}", d.major, minor, d.read ? "r" : "", d.write ? "w" : "");
}

Result<void> allow(const std::string& group, std::span<const Device> devices) {
  TRY_AS(const sys::UniqueFd file, sys::open(group + "/devices.allow", O_WRONLY));
  for (const Device& d : devices) {
    const auto r = sys::write_once(file.get(), line_of(d));
    // EPERM: the host's own group has not got it (we may be in a container), so no CT can have it.
    if (!r && r.error().sys_errno != EPERM)
      return fail_sys(r.error().sys_errno, "allow device '{}' in '{}'", line_of(d), group);
  }
  return {};
}

// The rights of D that none of KEPT gives.
Device lost(Device d, std::span<const Device> kept) {
  for (const Device& k : kept) {
    if (k.major != d.major || k.minor != d.minor) continue;
    d.read = d.read && !k.read;
    d.write = d.write && !k.write;
  }
  return d;
}

}  // namespace

Result<void> set_up_devices(const std::string& group, std::span<const Device> more) {
  TRY(sys::write_file(group + "/devices.deny", "a"));
  TRY(allow(group, kDevices));
  return allow(group, more);
}

Result<void> change_devices(const std::string& group, std::span<const Device> before, std::span<const Device> more) {
  for (const Device& d : before)
    if (const Device gone = lost(lost(d, more), kDevices); gone.read || gone.write)
      TRY(sys::write_file(group + "/devices.deny", line_of(gone)), "take device '{}'", line_of(gone));
  return allow(group, more);
}

}  // namespace vz::cgroups::v1
