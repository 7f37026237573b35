// Links, addresses and routes, over libnl3. Nothing here knows a container: callers pass names and namespace
// descriptors. Every function leaves the calling thread in the network namespace it found it in.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/config.h"

namespace vz::net {

// ---- plan (pure) ------------------------------------------------------------------------------------------------

// A veth pair: HOST end here, CT end in the container's network namespace.
struct Veth {
  std::string host_name, ct_name;  // at most 15 characters
  std::string host_mac, ct_mac;    // "00:18:51:AA:BB:CC"
  std::string bridge;              // host bridge to join; empty: none
  bool operator==(const Veth&) const = default;
};

// Routed addresses: a pair venet0 (CT) and vnet.CTID (host); the host routes each address to it and answers ARP/NDP for
// it on the uplinks; the CT's default route leaves through it by a permanent neighbour entry, so both ends' MACs are
// fixed by the CTID and the same on every host.
struct Routed {
  Veth veth;
  std::vector<config::IpAddress> addresses;
  bool operator==(const Routed&) const = default;
};

struct Plan {
  std::vector<Veth> veths;
  std::optional<Routed> routed;
};
Plan plan(config::CtId id, const config::CtSpec& spec);
// Locally fixed, stable MACs: derived from CTID and index (0: venet0; ethN: N + 1), OUI 00:18:51 as vzctl's. The
// host's end begins with FE instead: a bridge without an address of its own takes the lowest of its ports', and must
// neither change it to a CT's nor back when CTs come and go. (A HOST_MAC given in NETIF is used as it is.) Hosts that
// share an Ethernet segment and have CTs of the same CTID must give those CTs' bridged devices MACs in NETIF.
std::string stable_mac(config::CtId id, unsigned index, bool host_side);
// A new one, to be stored in NETIF: what CTID and name alone give could be there twice on one network segment.
std::string random_mac(bool host_side);
using config::valid_mac;
bool valid_ifname(std::string_view text);  // 1..15 characters, no '/', no white space, not "." or ".."

// ---- execution --------------------------------------------------------------------------------------------------

Result<void> loopback_up(int netns);
// Both ends made, MACs set, CT end moved into NETNS under its name; host end up, in its bridge, CT end up when
// UP_INSIDE. The CT's end has the same device number on every host (venet0 32, ethN 33 + N), if it is free. Errors:
// bridge missing (Code::not_found), name taken (Code::exists).
Result<void> add_veth(const Veth& veth, int netns, bool up_inside);
Result<void> remove_link(const std::string& host_name);  // absent is fine
bool link_exists(const std::string& host_name);
// Puts the host end into / out of its bridge (used to hold the guest's packets during a move).
Result<void> set_master(const std::string& host_name, const std::string& bridge);  // "" takes it out

// Makes the pair and both ends' addresses and routes; idempotent. An address routed elsewhere on this host is
// Code::address_in_use. On each uplink of an address proxy_delay becomes 0 and, for IPv6, proxy_ndp 1, and they stay
// so; forwarding is not changed, a warning says where it is off.
Result<void> add_routed(const Routed& routed, int netns);
// One address more / less on a running CT.
Result<void> add_address(const Routed& routed, const config::IpAddress& address, int netns);
Result<void> remove_address(const Routed& routed, const config::IpAddress& address, int netns);
// Host side only, of a pair that exists: the routes and neighbour answers that add_routed makes.
Result<void> publish(const Routed& routed);
// Host side only: routes and neighbour answers of ADDRESSES go away (stop, suspend, leaving for another host).
Result<void> withdraw(const Routed& routed);
// Is this address routed to another device or assigned on this host, or does somebody on the uplinks answer for it?
Result<bool> address_in_use(const config::IpAddress& address, const std::string& except_device);

// Lets packets into NETNS again after a checkpoint whose CRIU was killed.
Result<void> unlock(int netns);

// What NETNS asked for while its links were not heard of: the next packet asks anew, instead of waiting for the
// kernel's next try, a second later (retrans_time, arp(7)). What waited for the answers is dropped.
Result<void> forget_unanswered(int netns);

// Gratuitous ARP and unsolicited neighbour advertisements: for the CT's own links from inside NETNS, for routed
// addresses from the host's uplinks. Sends once and waits for nobody; the frames are out some milliseconds before it
// returns (the kernel takes its time to close a packet socket).
Result<void> announce(const Plan& plan, int netns);
// Of routed addresses, those that are looked for on the host's DEVICE.
Result<void> announce_on_device(const Routed& routed, const std::string& device);

// ---- what a guest made of its network, for suspend and migration ----------------------------------------------------

// All links that are ours (by the names in PLAN, also when the guest renamed them), bridges, VLANs and the like that
// it made itself, with addresses, routes (all tables the guest may use), rules, permanent neighbours, sysctls, device
// numbers, MTU, MAC, up/down; and the nftables ruleset (also iptables-nft's) with counters and sets. JSON text, at
// most a few hundred KiB; "unsupported" in it is a list of sentences about what could not be saved. Reading only; the
// guest may be running or frozen.
Result<std::string> save_state(const Plan& plan, int netns);
// The connections that its firewall tracks, with their translations (NAT), marks and helpers. At most 16,384,
// some 6 MiB; a warning says when there are more. Best while no packet passes: what comes later is not in it.
Result<std::string> save_connections(int netns);
// Into a fresh namespace in which the plan's links already exist (made with UP_INSIDE false best). STATE is foreign
// input: whatever it says happens in NETNS only, in a child process with the rights of the container's root;
// malformed text is Code::invalid. The host's side of routed addresses is not part of it: add_routed(). CONNECTIONS is
// what save_connections() gave, as foreign; one that the kernel refuses is left out.
Result<void> restore_state(const Plan& plan, int netns, std::string_view state, std::string_view connections = {});
// Addresses configured on the CT's links right now, without loopback and link-local: for vzlist.
Result<std::vector<std::string>> addresses(int netns);

}  // namespace vz::net
