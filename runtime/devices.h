// The devices of the host's that DEVNODES gives to a CT.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cgroups/devices.h"
#include "runtime/container.h"
#include "sys/unique_fd.h"

namespace vz::runtime {

struct HostDevice {
  std::string name;  // below /dev, here and there
  cgroups::Device device;
  mode_t mode = 0;  // permissions
};
// As they are on this host now. Code::device_failed: one is not there, or is no character device.
Result<std::vector<HostDevice>> host_devices(const config::CtSpec& spec);

// A node of the CT's own for each of them, with the mode it has here and owned by the CT's root: detached mounts, in
// their order. In mountinfo the root of each begins with kNodeName.
Result<std::vector<sys::UniqueFd>> make_device_nodes(const Container& ct, const std::vector<HostDevice>& devices);
inline constexpr std::string_view kNodeName = "/vessel-device-";

}  // namespace vz::runtime
