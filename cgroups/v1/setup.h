// What a new directory needs on some v1 hierarchies before a process may live in it.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "cgroups/devices.h"

namespace vz::cgroups::v1 {

// A new cpuset is empty and refuses processes: GROUP takes over the CPUs and memory nodes of its parent PARENT, and
// that before of the hierarchy's root MOUNT when it is itself new.
Result<void> set_up_cpuset(const std::string& mount, const std::string& parent, const std::string& group);
// Holds GROUP to kDevices and MORE.
Result<void> set_up_devices(const std::string& group, std::span<const Device> more);
// The same of one that is held to kDevices and BEFORE: never without a device that it keeps.
Result<void> change_devices(const std::string& group, std::span<const Device> before, std::span<const Device> more);

}  // namespace vz::cgroups::v1
