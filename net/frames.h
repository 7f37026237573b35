// Ethernet frames of ARP (RFC 826, 5227) and IPv6 neighbour discovery (RFC 4861): built and recognised, no I/O.
// MACs are 6 raw bytes, addresses 4 or 16, all in network order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace vz::net {

extern const std::string kBroadcast, kZeroMac;

uint16_t big16(std::string_view bytes);  // its first two, in network byte order

struct Arp {
  bool reply = false;
  std::string_view from, to;  // of the Ethernet frame
  std::string_view sender_mac, sender, target_mac, target;
};
std::string arp_frame(const Arp& arp);

// "I am ADDRESS" to everybody on the link, as a request or as a reply: caches differ in which one they believe.
std::string gratuitous_arp(std::string_view mac, std::string_view address, bool reply);
// "Who has TARGET?"; SENDER all zeroes makes it a probe.
std::string arp_request(std::string_view mac, std::string_view sender, std::string_view target);
// "I am ADDRESS" to all nodes, overriding what they know. ROUTER as the sender forwards packets or not.
std::string unsolicited_na(std::string_view mac, std::string_view address, bool router);
// "Who has TARGET?" to its solicited-node group, asked from SENDER.
std::string neighbour_solicitation(std::string_view mac, std::string_view sender, std::string_view target);

// The MAC that FRAME says TARGET has, if it says so.
std::optional<std::string> arp_answer(std::string_view frame, std::string_view target);
std::optional<std::string> na_answer(std::string_view frame, std::string_view target);

}  // namespace vz::net
