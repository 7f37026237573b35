#include "cgroups/v1/setup.h"

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "cgroups/tree.h"
#include "sys/files.h"

namespace vz::cgroups::v1 {

namespace {

constexpr auto kDevices = std::to_array<std::string_view>({
    "c 1:3 rw",     // null
    "c 1:5 rw",     // zero
    "c 1:7 rw",     // full
    "c 1:8 rw",     // random
    "c 1:9 rw",     // urandom
    "c 5:0 rw",     // tty
    "c 5:1 rw",     // console
    "c 5:2 rw",     // ptmx
    "c 136:* rw",   // pts
    "c 10:200 rw",  // net/tun
    "c 10:229 rw",  // fuse
});

}  // namespace

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

Result<void> set_up_devices(const std::string& group) {
  TRY(sys::write_file(group + "/devices.deny", "a"));
  TRY_AS(const sys::UniqueFd allow, sys::open(group + "/devices.allow", O_WRONLY));
  for (const std::string_view device : kDevices) {
    const auto r = sys::write_once(allow.get(), device);
    // EPERM: the host's own group has not got it (we may be in a container), so no CT can have it.
    if (!r && r.error().sys_errno != EPERM)
      return fail_sys(r.error().sys_errno, "allow device '{}' in '{}'", device, group);
  }
  return {};
}

}  // namespace vz::cgroups::v1
