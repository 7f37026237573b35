// Network devices as the kernel describes them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/spec.h"

namespace vz::net {

class Netlink;

struct Link {
  int index = 0;
  std::string name, kind, mac, alias;  // MAC as "00:18:51:AA:BB:CC"; kind empty: none (lo, a physical device)
  uint32_t flags = 0, mtu = 0, txqlen = 0, group = 0;
  int master = 0;                 // index of the device that it is a port of
  int lower = 0;                  // VLAN, macvlan: index of the device below; veth: the peer's
  bool lower_is_foreign = false;  // ... and that one is in another namespace
  std::string kind_data;          // IFLA_INFO_DATA, attributes
  std::string conf4, conf6;       // the device's sysctls, arrays of 32-bit numbers (knobs.h); empty: none
  bool up() const;
  bool loopback() const;
};
Link parse_link(std::string_view payload);

Result<std::vector<Link>> list_links(Netlink& socket);
// Code::not_found when there is none.
Result<Link> find_link(Netlink& socket, const std::string& name);

// The number in "eth3", below 1000.
std::optional<unsigned> eth_number(std::string_view ifname);

// "00:18:51:AA:BB:CC" <-> six bytes. The text has been checked with valid_mac().
std::string mac_bytes(std::string_view text);
std::string mac_text(std::string_view bytes);
// Canonical address text -> 4 or 16 bytes in network order. Code::bad_address.
Result<std::string> address_bytes(const config::IpAddress& address);
std::string address_text(std::string_view bytes);

}  // namespace vz::net
