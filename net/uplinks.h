// The host's own networks: on which devices other machines look for an address.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/spec.h"
#include "net/link.h"

namespace vz::net {

class Netlink;

// An address on a device.
struct Assigned {
  int index = 0;
  std::string address;  // 4 or 16 bytes
  unsigned prefix = 0;
  uint32_t flags = 0;  // IFA_F_*
  unsigned scope = 0;  // RT_SCOPE_*
};
Result<std::vector<Assigned>> list_addresses(Netlink& socket, bool v6);
bool contains(const Assigned& network, const std::string& address);

struct Uplink {
  int index = 0;
  std::string name, mac;  // MAC as six bytes
  std::string source;     // an address of the host there, of the family asked for; empty: none
};
// The devices that are up, belong to no CT and have ADDRESS in one of their subnets; without any, the device of the
// default route.
Result<std::vector<Uplink>> uplinks_for(Netlink& socket, const std::string& address);

// Where the host itself would send a packet for ADDRESS.
struct Way {
  int index = 0;
  bool local = false;       // it is an address of this host
  bool host_route = false;  // by a route for this one address
};
// nullopt: no route.
Result<std::optional<Way>> way_to(Netlink& socket, const std::string& address);

}  // namespace vz::net
