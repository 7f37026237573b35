#include "net/hold.h"

#include <endian.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "net/frames.h"
#include "net/link.h"
#include "net/netlink.h"
#include "net/packet_socket.h"

namespace vz::net {

namespace {

// One frame in what take() returns; numbers are big endian. With PACKET_VNET_HDR a frame begins with what the kernel
// left to do for it (checksum, segmentation): local senders' frames are not complete without.
struct FrameHeader {
  uint32_t link, size;
};

constexpr size_t kVirtioHeader = 10;  // struct virtio_net_hdr, whose header C++ cannot read
constexpr size_t kFraming = kVirtioHeader + ETHER_HDR_LEN;
constexpr size_t kLargestFrame = kFraming + 65536;
constexpr int kReceiveBuffer = 16 << 20;  // counts the kernel's own overhead too

uint32_t big32(std::string_view bytes) {
  uint32_t v = 0;
  std::memcpy(&v, bytes.data(), 4);
  return be32toh(v);
}

// Frames to MAC, questions for anybody's address (ARP requests, neighbour solicitations), and frames from MAC.
Result<void> filter(const sys::UniqueFd& fd, std::string_view mac) {
  const uint32_t high = big32(mac), low = big16(mac.substr(4));
  std::array<sock_filter, 17> code = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_ALEN),              // 0: from MAC
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 2),           // 1
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, ETH_ALEN + 4),          // 2
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 12, 0),           // 3
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),                     // 4: to MAC
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, high, 0, 2),           // 5
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),                     // 6
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, low, 8, 7),            // 7
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 0, 4),     // 8: to everybody
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 4),                     // 9
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffff, 0, 4),         // 10
      BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),                    // 11
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_ARP, 3, 2),  // 12
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffffff00),           // 13: to a solicited-node group
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x3333ff00, 1, 0),     // 14
      BPF_STMT(BPF_RET | BPF_K, 0),                              // 15
      BPF_STMT(BPF_RET | BPF_K, 0xffffffff),                     // 16
  }};
  const sock_fprog program{code.size(), code.data()};
  return ::setsockopt(fd.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0
             ? Result<void>()
             : fail_sys(errno, "filter packets");
}

Result<sys::UniqueFd> offload_socket() {
  TRY_AS(sys::UniqueFd fd, packet_socket(0));
  const int on = 1;
  if (::setsockopt(fd.get(), SOL_PACKET, PACKET_VNET_HDR, &on, sizeof on) != 0) return fail_sys(errno, "packet socket");
  return fd;
}

// The bridge hands up copies of what it forwards to others, or floods, as long as it is promiscuous.
Result<sys::UniqueFd> listen_on(Netlink& here, const Veth& v) {
  TRY_AS(const Link bridge, find_link(here, v.bridge), "bridge '{}'", v.bridge);
  TRY_AS(sys::UniqueFd fd, offload_socket());
  TRY(filter(fd, mac_bytes(v.ct_mac)));
  const int on = 1;
  packet_mreq all{};
  all.mr_ifindex = bridge.index;
  all.mr_type = PACKET_MR_PROMISC;
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_ifindex = bridge.index;
  at.sll_protocol = htons(ETH_P_ALL);
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveBuffer, sizeof kReceiveBuffer);
  if (::setsockopt(fd.get(), SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0 ||
      ::setsockopt(fd.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
    return fail_sys(errno, "listen on '{}'", v.bridge);
  return fd;
}

// The kernel took the VLAN's tag out of the frame; put back, it would move what the virtio header points at.
bool tagged(const msghdr& m) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(const_cast<msghdr*>(&m), c)) {
    if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata aux{};
    std::memcpy(&aux, CMSG_DATA(c), sizeof aux);
    return aux.tp_status & TP_STATUS_VLAN_VALID;
  }
  return false;
}

// Empty: no more. A frame that is to be left out is one without an address.
std::string_view next_frame(int fd, std::array<char, kLargestFrame>& buffer) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(tpacket_auxdata))> control;
  for (;;) {
    iovec data{buffer.data(), buffer.size()};
    msghdr m{};
    m.msg_iov = &data;
    m.msg_iovlen = 1;
    m.msg_control = control.data();
    m.msg_controllen = control.size();
    const ssize_t n = ::recvmsg(fd, &m, MSG_DONTWAIT);
    if (n < 0 && (errno == EINVAL || errno == EINTR)) continue;  // EINVAL: an offload that virtio has no word for
    if (n < 0) return {};
    const auto size = static_cast<size_t>(n);
    if (size >= kFraming && !(m.msg_flags & MSG_TRUNC) && !tagged(m)) return {buffer.data(), size};
  }
}

std::string_view ethernet(std::string_view frame) { return frame.substr(kVirtioHeader); }

void append_number(std::string& out, size_t value) {
  const uint32_t v = htobe32(static_cast<uint32_t>(value));
  out.append(reinterpret_cast<const char*>(&v), sizeof v);
}

}  // namespace

Result<Hold> Hold::begin(const Plan& plan) {
  Hold hold;
  TRY_AS(Netlink here, Netlink::open());
  for (size_t i = 0; i < plan.veths.size(); ++i) {
    const Veth& v = plan.veths[i];
    if (v.bridge.empty()) continue;
    TRY_AS(sys::UniqueFd fd, listen_on(here, v));
    hold.listeners_.push_back({i, mac_bytes(v.ct_mac), std::move(fd)});
  }
  return hold;
}

std::string Hold::take() {
  std::string held;
  std::array<char, kLargestFrame> buffer;
  for (const Listener& l : listeners_) {
    for (;;) {
      const std::string_view frame = next_frame(l.fd.get(), buffer);
      if (frame.empty() || held.size() + sizeof(FrameHeader) + frame.size() > kMostHeld) break;
      // Heard from elsewhere: what comes later is forwarded to there by the bridge.
      if (ethernet(frame).substr(ETH_ALEN, ETH_ALEN) == l.mac) break;
      append_number(held, l.link);
      append_number(held, frame.size());
      held += frame;
    }
  }
  listeners_.clear();
  return held;
}

void deliver(const Plan& plan, std::string_view held) {
  auto here = Netlink::open();
  auto fd = offload_socket();
  if (held.empty() || !here || !fd) return;
  std::vector<int> devices;  // 0: the guest has it no more
  for (const Veth& v : plan.veths) {
    const auto link = find_link(*here, v.host_name);
    devices.push_back(link ? link->index : 0);
  }
  while (held.size() >= sizeof(FrameHeader)) {
    const uint32_t link = big32(held), size = big32(held.substr(4));
    held.remove_prefix(sizeof(FrameHeader));
    if (size > held.size()) break;
    const std::string_view frame = held.substr(0, size);
    held.remove_prefix(size);
    if (size < kFraming || link >= devices.size() || devices[link] == 0) continue;
    (void)send_frame(*fd, devices[link], frame, kVirtioHeader);
  }
}

}  // namespace vz::net
