// Which sysctls of a namespace are worth keeping, and how a device's own are read without opening a file each: the
// description of the device has them all.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "net/link.h"

namespace vz::net {

// Names below /proc/sys/net, in the order in which they have to be written; those for all devices are the last.
std::vector<std::string> namespace_sysctls();
// Of one device, and only once it has its addresses: writing them makes the kernel form a link-local address.
std::vector<std::string> late_sysctls(const Link& link);

struct DeviceKnob {
  const char* name;  // "rp_filter"
  bool v6;
  size_t place;                                       // in the kernel's array
  std::string path(const std::string& device) const;  // "ipv4/conf/eth0/rp_filter"
};
// In the order in which they have to be written.
const std::vector<DeviceKnob>& device_knobs();
// nullopt: the device has none, as its family is off.
std::optional<int32_t> knob_value(const Link& link, const DeviceKnob& knob);

}  // namespace vz::net
