#include <linux/filter.h>
#include <linux/if_addr.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>

#include "net/frames.h"
#include "net/link.h"
#include "net/net.h"
#include "net/netlink.h"
#include "net/netns.h"
#include "net/packet_socket.h"
#include "net/sysctl.h"
#include "net/uplinks.h"

namespace vz::net {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kProbeTime = std::chrono::milliseconds(200);

Result<void> announce_on(const sys::UniqueFd& fd, int index, const std::string& mac, const std::string& address,
                         bool router) {
  if (address.size() == 16) return send_frame(fd, index, unsolicited_na(mac, address, router));
  TRY(send_frame(fd, index, gratuitous_arp(mac, address, false)));
  return send_frame(fd, index, gratuitous_arp(mac, address, true));
}

bool is_router(const std::string& device) {
  const auto value = read_sysctl(fmt::format("ipv6/conf/{}/forwarding", device));
  return value && *value != "0";
}

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
        TRY(announce_on(fd, a.index, mac_bytes(link->mac), a.address, router), "announce {}", address_text(a.address));
  }
  return {};
}

Result<void> announce_routed(const Routed& routed) {
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const sys::UniqueFd fd, packet_socket(0));
  for (const config::IpAddress& a : routed.addresses) {
    TRY_AS(const std::string bytes, address_bytes(a));
    TRY_AS(const auto uplinks, uplinks_for(here, bytes));
    for (const Uplink& u : uplinks)
      TRY(announce_on(fd, u.index, u.mac, bytes, false), "announce {} on '{}'", a.address, u.name);
  }
  return {};
}

// ---- is somebody there? -------------------------------------------------------------------------------------------

// Neighbour advertisements only: on a busy uplink the answer would be lost among the rest.
void accept_only_advertisements(const sys::UniqueFd& fd) {
  std::array<sock_filter, 6> code = {{
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),          // next header
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 58, 0, 3),   // ICMPv6
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 54),          // its type
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, 0, 1),  // neighbour advertisement
      BPF_STMT(BPF_RET | BPF_K, 0xffff),
      BPF_STMT(BPF_RET | BPF_K, 0),
  }};
  const sock_fprog program{code.size(), code.data()};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

Result<bool> somebody_answers(const sys::UniqueFd& fd, const std::vector<Uplink>& uplinks, const std::string& target) {
  const auto deadline = Clock::now() + kProbeTime;
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd p{fd.get(), POLLIN, 0};
    if (left.count() <= 0) return false;
    if (::poll(&p, 1, static_cast<int>(left.count())) <= 0) continue;
    std::array<char, 256> buffer;
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const ssize_t n = ::recvfrom(fd.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n <= 0 || from.sll_pkttype == PACKET_OUTGOING) continue;
    const std::string_view frame(buffer.data(), static_cast<size_t>(n));
    const auto mac = target.size() == 16 ? na_answer(frame, target) : arp_answer(frame, target);
    const auto there = std::any_of(uplinks.begin(), uplinks.end(),
                                   [&](const Uplink& u) { return u.index == from.sll_ifindex && mac != u.mac; });
    if (mac && there) return true;
  }
}

// An answering proxy (another host's CT) only answers to a sender that has an address, so ours is used where there is
// one.
Result<bool> probe(Netlink& here, const std::string& target) {
  const bool v6 = target.size() == 16;
  TRY_AS(const auto uplinks, uplinks_for(here, target));
  if (uplinks.empty()) return false;
  TRY_AS(const sys::UniqueFd fd, packet_socket(v6 ? ETH_P_IPV6 : ETH_P_ARP));
  if (v6) accept_only_advertisements(fd);
  for (const Uplink& u : uplinks) {
    const std::string sender = u.source.empty() ? std::string(target.size(), '\0') : u.source;
    TRY(send_frame(fd, u.index,
                   v6 ? neighbour_solicitation(u.mac, sender, target) : arp_request(u.mac, sender, target)),
        "ask on '{}'", u.name);
  }
  return somebody_answers(fd, uplinks, target);
}

}  // namespace

Result<void> announce(const Plan& plan, int netns) {
  if (!plan.veths.empty()) TRY(announce_inside(plan.veths, netns));
  if (plan.routed) TRY(announce_routed(*plan.routed));
  return {};
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
