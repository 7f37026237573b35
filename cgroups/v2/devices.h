// cgroup v2 has no files for devices: a BPF program decides ("Device controller" in cgroup-v2.rst).
#pragma once

#include <linux/bpf.h>

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "cgroups/devices.h"

namespace vz::cgroups::v2 {

// Answers 1 to the opening of one of ALLOWED, 0 to everything else. Pure.
std::vector<bpf_insn> device_program(std::span<const Device> allowed);
// The directory GROUP and all below it are held to kDevices and MORE, in place of what it was held to, until it is
// removed. Takes CAP_SYS_ADMIN outside all containers. Code::unsupported where the kernel has no such programs
// (CONFIG_CGROUP_BPF).
Result<void> set_up_devices(const std::string& group, std::span<const Device> more = {});

}  // namespace vz::cgroups::v2
