#include "net/frames.h"

#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>

#include <cstdint>

namespace vz::net {

const std::string kBroadcast(6, '\xff');
const std::string kZeroMac(6, '\0');

namespace {

const std::string kAllNodes("\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
const std::string kSolicitedPrefix("\xff\x02\0\0\0\0\0\0\0\0\0\x01\xff", 13);

constexpr size_t kEthernet = 14, kIpv6 = 40;
constexpr size_t kArpOp = kEthernet + 6, kArpSenderMac = kEthernet + 8, kArpSender = kEthernet + 14;
constexpr size_t kArpSize = kEthernet + 28;
constexpr size_t kNeighbourSize = kEthernet + kIpv6 + 24;  // without options

std::string u16(unsigned v) { return {static_cast<char>(v >> 8), static_cast<char>(v)}; }
std::string append_all(std::initializer_list<std::string_view> parts) {
  std::string out;
  for (const std::string_view p : parts) out += p;
  return out;
}

// The one's complement sum over the pseudo header and the body.
unsigned checksum(std::string_view source, std::string_view destination, std::string_view body) {
  const std::string all = append_all(
      {source, destination, u16(0), u16(static_cast<unsigned>(body.size())), u16(0), u16(IPPROTO_ICMPV6), body});
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < all.size(); i += 2) sum += big16(std::string_view(all).substr(i));
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

std::string icmp6(std::string_view mac, std::string_view source, std::string_view destination, std::string body) {
  body.replace(2, 2, u16(checksum(source, destination, body)));
  const std::string group_mac = "\x33\x33" + std::string(destination.substr(12));
  return append_all({group_mac, mac, u16(ETHERTYPE_IPV6), std::string_view("\x60\0\0\0", 4),
                     u16(static_cast<unsigned>(body.size())), "\x3a\xff", source, destination, body});
}

std::string neighbour_body(unsigned type, unsigned flags, std::string_view target) {
  return append_all({u16(type << 8), u16(0), u16(flags << 8), u16(0), target});
}

std::string mac_option(unsigned type, std::string_view mac) { return u16(type << 8 | 1) + std::string(mac); }

}  // namespace

uint16_t big16(std::string_view bytes) {
  return static_cast<uint16_t>(static_cast<uint8_t>(bytes[0]) << 8 | static_cast<uint8_t>(bytes[1]));
}

std::string arp_frame(const Arp& a) {
  return append_all({a.to, a.from, u16(ETHERTYPE_ARP), u16(ARPHRD_ETHER), u16(ETHERTYPE_IP), "\x06\x04",
                     u16(a.reply ? ARPOP_REPLY : ARPOP_REQUEST), a.sender_mac, a.sender, a.target_mac, a.target});
}

std::string gratuitous_arp(std::string_view mac, std::string_view address, bool reply) {
  return arp_frame({reply, mac, kBroadcast, mac, address, reply ? mac : std::string_view(kZeroMac), address});
}

std::string arp_request(std::string_view mac, std::string_view sender, std::string_view target) {
  return arp_frame({false, mac, kBroadcast, mac, sender, kZeroMac, target});
}

std::string unsolicited_na(std::string_view mac, std::string_view address, bool router) {
  constexpr unsigned kRouter = 0x80, kOverride = 0x20;
  const unsigned flags = kOverride | (router ? kRouter : 0);
  return icmp6(mac, address, kAllNodes,
               neighbour_body(ND_NEIGHBOR_ADVERT, flags, address) + mac_option(ND_OPT_TARGET_LINKADDR, mac));
}

std::string neighbour_solicitation(std::string_view mac, std::string_view sender, std::string_view target) {
  const std::string group = kSolicitedPrefix + std::string(target.substr(13));
  const bool known = sender.find_first_not_of('\0') != std::string_view::npos;  // RFC 4861: no option from ::
  return icmp6(mac, sender, group,
               neighbour_body(ND_NEIGHBOR_SOLICIT, 0, target) + (known ? mac_option(ND_OPT_SOURCE_LINKADDR, mac) : ""));
}

std::optional<std::string> arp_answer(std::string_view frame, std::string_view target) {
  if (frame.size() < kArpSize || big16(frame.substr(12)) != ETHERTYPE_ARP) return std::nullopt;
  if (big16(frame.substr(kArpOp)) != ARPOP_REPLY || frame.substr(kArpSender, 4) != target) return std::nullopt;
  return std::string(frame.substr(kArpSenderMac, 6));
}

std::optional<std::string> na_answer(std::string_view frame, std::string_view target) {
  constexpr size_t kNextHeader = kEthernet + 6, kHopLimit = kEthernet + 7, kType = kEthernet + kIpv6;
  if (frame.size() < kNeighbourSize || big16(frame.substr(12)) != ETHERTYPE_IPV6) return std::nullopt;
  if (frame[kNextHeader] != IPPROTO_ICMPV6 || static_cast<uint8_t>(frame[kHopLimit]) != 255) return std::nullopt;
  if (static_cast<uint8_t>(frame[kType]) != ND_NEIGHBOR_ADVERT || frame.substr(kType + 8, 16) != target)
    return std::nullopt;
  return std::string(frame.substr(6, 6));
}

}  // namespace vz::net
