#include <linux/if_addr.h>

#include <chrono>

#include "net/ask.h"
#include "net/link.h"
#include "net/net.h"
#include "net/netlink.h"
#include "net/netns.h"
#include "net/packet_socket.h"
#include "net/uplinks.h"

namespace vz::net {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kProbeTime = std::chrono::milliseconds(200);

Result<void> announce_inside(const std::vector<Veth>& veths, int netns) {
  TRY_AS([[maybe_unused]] const NetnsVisit visit, NetnsVisit::enter(netns));
  TRY_AS(Netlink socket, Netlink::open());
  TRY_AS(const sys::UniqueFd fd, packet_socket(0));
  TRY_AS(auto assigned, list_addresses(socket, false));
  TRY_AS(const auto assigned6, list_addresses(socket, true));
  assigned.insert(assigned.end(), assigned6.begin(), assigned6.end());
  for (const Veth& v : veths) {
    const auto link = find_link(socket, v.ct_name);
    if (!link || !link->up()) continue;  // renamed, removed or taken down by the guest: nothing to announce
    const bool router = is_router(v.ct_name);
    for (const Assigned& a : assigned)
      if (a.index == link->index && !(a.flags & IFA_F_TENTATIVE))
        TRY(send_announcement(fd, a.index, mac_bytes(link->mac), a.address, router), "announce {}",
            address_text(a.address));
  }
  return {};
}

// On one device, or (empty) on all uplinks.
Result<void> announce_routed(const Routed& routed, const std::string& device) {
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const sys::UniqueFd fd, packet_socket(0));
  for (const config::IpAddress& a : routed.addresses) {
    TRY_AS(const std::string bytes, address_bytes(a));
    TRY_AS(const auto uplinks, uplinks_for(here, bytes));
    for (const Uplink& u : uplinks)
      if (device.empty() || u.name == device)
        TRY(send_announcement(fd, u.index, u.mac, bytes, false), "announce {} on '{}'", a.address, u.name);
  }
  return {};
}

// ---- is somebody there? -------------------------------------------------------------------------------------------

// An answering proxy (another host's CT) only answers to a sender that has an address, so ours is used where there is
// one.
Result<bool> probe(Netlink& here, const std::string& target) {
  const bool v6 = target.size() == 16;
  TRY_AS(const auto uplinks, uplinks_for(here, target));
  if (uplinks.empty()) return false;
  TRY_AS(const sys::UniqueFd fd, question_socket(v6));
  for (const Uplink& u : uplinks) {
    const std::string sender = u.source.empty() ? std::string(target.size(), '\0') : u.source;
    TRY(send_question(fd, u.index, u.mac, sender, target), "ask on '{}'", u.name);
  }
  const auto deadline = Clock::now() + kProbeTime;
  while (const auto answer = hear_answer(fd, {target}, deadline))
    for (const Uplink& u : uplinks)
      if (u.index == answer->index && u.mac != answer->mac) return true;
  return false;
}

}  // namespace

Result<void> announce(const Plan& plan, int netns) {
  if (!plan.veths.empty()) TRY(announce_inside(plan.veths, netns));
  if (plan.routed) TRY(announce_routed(*plan.routed, ""));
  return {};
}

Result<void> announce_on_device(const Routed& routed, const std::string& device) {
  return announce_routed(routed, device);
}

Result<bool> address_in_use(const config::IpAddress& address, const std::string& except_device) {
  TRY_AS(const std::string bytes, address_bytes(address));
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const auto way, way_to(here, bytes));
  if (way && way->local) return true;
  if (way && way->host_route) {
    const auto except = find_link(here, except_device);
    if (!except || except->index != way->index) return true;
  }
  return probe(here, bytes);
}

Result<std::vector<std::string>> addresses(int netns) {
  TRY_AS(Netlink inside, Netlink::open_in(netns));
  std::vector<std::string> out;
  for (const bool v6 : {false, true}) {
    TRY_AS(const auto assigned, list_addresses(inside, v6));
    for (const Assigned& a : assigned)
      if (a.scope != RT_SCOPE_LINK && a.scope != RT_SCOPE_HOST) out.push_back(address_text(a.address));
  }
  return out;
}

}  // namespace vz::net
