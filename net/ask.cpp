#include "net/ask.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "net/frames.h"
#include "net/link.h"
#include "net/net.h"
#include "net/netlink.h"
#include "net/packet_socket.h"
#include "net/sysctl.h"
#include "net/uplinks.h"

namespace vz::net {

namespace {

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

// nullopt: not one from another machine.
std::optional<Answer> receive_answer(const sys::UniqueFd& fd, const std::vector<std::string>& targets) {
  std::array<char, 256> buffer;
  sockaddr_ll from{};
  socklen_t size = sizeof from;
  const ssize_t n = ::recvfrom(fd.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
  if (n <= 0 || from.sll_pkttype == PACKET_OUTGOING) return std::nullopt;
  const std::string_view frame(buffer.data(), static_cast<size_t>(n));
  for (const std::string& target : targets)
    if (const auto mac = target.size() == 16 ? na_answer(frame, target) : arp_answer(frame, target))
      return Answer{from.sll_ifindex, target, *mac};
  return std::nullopt;
}

}  // namespace

bool Device::has(const std::string& address) const {
  return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
}

Result<Device> find_device(const std::string& name) {
  TRY_AS(Netlink socket, Netlink::open());
  TRY_AS(const Link link, find_link(socket, name));
  if (!link.up()) return fail(Code::unsupported, "device '{}' is down", name);
  if (link.loopback() || !valid_mac(link.mac)) return fail(Code::unsupported, "'{}' is no Ethernet device", name);
  Device device{link.index, mac_bytes(link.mac), {}};
  for (const bool v6 : {false, true}) {
    TRY_AS(const auto assigned, list_addresses(socket, v6));
    for (const Assigned& a : assigned)
      if (a.index == link.index) device.addresses.push_back(a.address);
  }
  return device;
}

bool is_router(const std::string& device) {
  const auto value = read_sysctl(fmt::format("ipv6/conf/{}/forwarding", device));
  return value && *value != "0";
}

Result<void> send_announcement(const sys::UniqueFd& fd, int index, const std::string& mac, const std::string& address,
                               bool router) {
  if (address.size() == 16) return send_frame(fd, index, unsolicited_na(mac, address, router));
  TRY(send_frame(fd, index, gratuitous_arp(mac, address, false)));
  return send_frame(fd, index, gratuitous_arp(mac, address, true));
}

Result<sys::UniqueFd> question_socket(bool v6) {
  TRY_AS(sys::UniqueFd fd, packet_socket(v6 ? ETH_P_IPV6 : ETH_P_ARP));
  if (v6) accept_only_advertisements(fd);
  return fd;
}

Result<void> send_question(const sys::UniqueFd& fd, int index, const std::string& mac, const std::string& sender,
                           const std::string& target) {
  return send_frame(
      fd, index, target.size() == 16 ? neighbour_solicitation(mac, sender, target) : arp_request(mac, sender, target));
}

std::optional<Answer> hear_answer(const sys::UniqueFd& fd, const std::vector<std::string>& targets,
                                  std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return std::nullopt;
    pollfd p{fd.get(), POLLIN, 0};
    if (::poll(&p, 1, static_cast<int>(left.count())) <= 0) continue;
    if (auto answer = receive_answer(fd, targets)) return answer;
  }
}

}  // namespace vz::net
