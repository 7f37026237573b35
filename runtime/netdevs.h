// NETDEV: network devices of the host's that a container has for as long as it runs.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

// Moves NAMES into the network namespace of INIT, all or none. From then on a mount in the CT's run directory keeps
// that namespace, so that the devices can be brought back after the CT's death. Code::network_failed.
Result<void> lend_netdevs(const Host& host, config::CtId id, const std::vector<std::string>& names, pid_t init);

// Brings NAMES back, those of them that the CT has. One that fails is warned about: the rest comes back all the same.
Result<void> take_back_netdevs(const Host& host, config::CtId id, const std::vector<std::string>& names);
Result<void> take_back_netdevs(const Host& host, config::CtId id);  // all

// What it has.
std::vector<std::string> lent_netdevs(const Host& host, config::CtId id);

}  // namespace vz::runtime
