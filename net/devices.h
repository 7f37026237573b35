// The devices of a restored namespace: ours found again under their roles, the guest's own made.
#pragma once

#include <vector>

#include "base/result.h"
#include "net/state.h"

namespace vz::net {

class Netlink;

// Afterwards each device of LINKS exists with its number, name, MAC, MTU and so on, still down unless it was up
// already. NETNS is the namespace that SOCKET and the calling thread are in. Code::not_found when one of ours is
// missing.
Result<void> make_devices(Netlink& socket, int netns, const std::vector<SavedLink>& links);
// Up or down, as they were saved.
Result<void> switch_devices(Netlink& socket, const std::vector<SavedLink>& links);

}  // namespace vz::net
