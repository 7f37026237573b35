// The devices of the host's that DEVNODES and DEVICES give to a CT.
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
  std::string name;  // below /dev, here and there; empty: it has no node
  cgroups::Device device;
  mode_t mode = 0;  // permissions
};
// As they are on this host now, each once. Code::device_failed: one of DEVNODES is not there, or is no character
// device. One of DEVICES that is not there has no node.
Result<std::vector<HostDevice>> host_devices(const config::CtSpec& spec);
void warn_of_missing_nodes(const std::vector<HostDevice>& devices);
// The list for cgroups::Group.
std::vector<cgroups::Device> numbers_of(const std::vector<HostDevice>& devices);
// Those that have a node.
std::vector<HostDevice> with_nodes(const std::vector<HostDevice>& devices);

// The names of DEVICES, by number: "DEVNAME=net/tun" of /sys/dev/char/10:200/uevent, "tun net/tun c10:200" of
// modules.devname(5) where the module is loaded when the node is opened. Pure; empty: none.
std::string name_in_uevent(std::string_view uevent);
std::string name_in_modules(std::string_view modules, uint32_t major, uint32_t minor);

// A node of the CT's own for each of DEVICES, with the mode it has here and owned by the CT's root: detached mounts, in
// their order. In mountinfo the root of each begins with kNodeName.
Result<std::vector<sys::UniqueFd>> make_device_nodes(const Container& ct, const std::vector<HostDevice>& devices);
inline constexpr std::string_view kNodeName = "/vessel-device-";

// To a running CT: the rights, and the nodes in the /dev of its init. Nodes that are gone there already are no error;
// one whose place is taken is Code::device_failed.
Result<void> change_devices(const Container& before, const Container& after, pid_t init);

// In the CT, as its root, its /dev being there: a file for NAME, and NODE over it.
Result<void> add_device(const std::string& name, int node);

}  // namespace vz::runtime
