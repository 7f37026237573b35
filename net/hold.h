// Packets for a container that is on its way to another host. Without this they are lost while it stands still, and
// whoever sent them waits for a retransmission timer of 200 ms, or more.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/net.h"
#include "sys/unique_fd.h"

namespace vz::net {

constexpr size_t kMostHeld = 4u << 20;  // bytes of what take() returns

// What comes to this host's bridges for a container whose links were taken out of them. Routed addresses need no such
// thing: the kernel itself keeps what waits for a neighbour to answer (arp(7)). Nothing is left when this, or the
// process, ends: a bridge is promiscuous for as long as somebody listens (packet(7)).
class Hold {
 public:
  // Begins to listen for each link of PLAN that has a bridge.
  static Result<Hold> begin(const Plan& plan);
  // Ends it: what came since, for deliver() on either host. When there is too much, the oldest.
  std::string take();

 private:
  struct Listener {
    size_t link;  // its place in the plan
    std::string mac;
    sys::UniqueFd fd;
  };
  std::vector<Listener> listeners_;
};

// Gives the container what take() held for it, by the host's ends of PLAN's links. HELD is foreign input: what is not
// a frame for one of these links is left out.
void deliver(const Plan& plan, std::string_view held);

}  // namespace vz::net
