// Network devices of the host's that are moved into a container and back (NETDEV). Back in time: the kernel keeps
// physical ones when a namespace ends, and destroys the others.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::net {

// One as it was here, and its number there, by which it is found again whatever the guest has called it. A guest can
// destroy a virtual device and make another one with its number, but not of a kind that is none, as a physical one is,
// nor above or at the other end of something outside of its namespace.
struct LentDevice {
  std::string name;
  int index = 0;
  std::string mac;  // empty: it has none
  uint32_t mtu = 0;
  std::string kind;  // empty: none
  int below = 0;     // number of what it is made on, or of its other end, in another namespace; 0: nothing
  bool operator==(const LentDevice&) const = default;
};
// One line each. What is none is left out.
std::string print_lent(const std::vector<LentDevice>& devices);
std::vector<LentDevice> parse_lent(std::string_view text);

// The first number, for a container that has OTHERS already.
int next_lent_index(const std::vector<LentDevice>& others);

// As it is on this host now. Code::network_failed: there is none, or it is in use here: a port of another device, below
// another one, or with addresses.
Result<LentDevice> find_to_lend(const std::string& name);
// Moves it into NETNS, where it is down; with DEVICE.index, when that is free. Returns it as it is there.
Result<LentDevice> lend(const LentDevice& device, int netns);
// Moves it back, down, with its name, MAC and MTU. Code::not_found: it is not there any more. When its name is taken
// here it gets another one, with a warning.
Result<void> take_back(const LentDevice& device, int netns);

}  // namespace vz::net
