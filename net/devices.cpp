#include "net/devices.h"

#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>

#include "net/netlink.h"
#include "net/netns.h"
#include "sys/namespaces.h"

namespace vz::net {

namespace {

constexpr uint32_t kGuestFlags = IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST;
constexpr int kNewIndex = 49;  // IFLA_NEW_IFINDEX (Linux 5.12): not in older headers

ifinfomsg header_for(int index) {
  ifinfomsg h{};
  h.ifi_index = index;
  return h;
}

// ---- numbers ------------------------------------------------------------------------------------------------------

struct Misnumbered {
  int have, want;
  std::string name;
};

Result<void> send_to(Netlink& from, int index, int netns, std::optional<int> new_index) {
  Message m(RTM_SETLINK, 0, header_for(index));
  m.put_u32(IFLA_NET_NS_FD, static_cast<uint32_t>(netns));
  if (new_index) m.put_u32(kNewIndex, static_cast<uint32_t>(*new_index));
  return from.request(m);
}

// A device can only get another number on its way into a namespace, so it goes out and comes back.
Result<void> renumber(Netlink& socket, int netns, const std::vector<Misnumbered>& devices) {
  if (devices.empty()) return {};
  if (::unshare(CLONE_NEWNET) != 0) return fail_sys(errno, "make a network namespace");
  TRY_AS(const sys::UniqueFd aside, current_netns());
  TRY_AS(Netlink socket_aside, Netlink::open());
  TRY(sys::enter_ns(netns, CLONE_NEWNET));
  for (const Misnumbered& d : devices)
    TRY(send_to(socket, d.have, aside.get(), std::nullopt), "move '{}' aside", d.name);
  for (const Misnumbered& d : devices) {
    TRY_AS(const Link there, find_link(socket_aside, d.name));
    TRY(send_to(socket_aside, there.index, netns, d.want), "give '{}' the number {}", d.name, d.want);
  }
  return {};
}

// ---- one device ---------------------------------------------------------------------------------------------------

const Link* find(const std::vector<Link>& have, const std::string& name) {
  const auto at = std::find_if(have.begin(), have.end(), [&](const Link& l) { return l.name == name; });
  return at == have.end() ? nullptr : &*at;
}

void put_properties(Message& m, const Link& l) {
  if (!l.mac.empty()) m.put(IFLA_ADDRESS, mac_bytes(l.mac));
  m.put_u32(IFLA_MTU, l.mtu).put_u32(IFLA_TXQLEN, l.txqlen).put_u32(IFLA_GROUP, l.group);
}

Result<void> set_flags(Netlink& socket, int index, uint32_t flags, uint32_t mask) {
  ifinfomsg h = header_for(index);
  h.ifi_flags = flags & mask;
  h.ifi_change = mask;
  return socket.request(Message(RTM_SETLINK, 0, h));
}

Result<void> adjust(Netlink& socket, const Link& have, const Link& want) {
  if (want.loopback()) {
    Message m(RTM_SETLINK, 0, header_for(have.index));
    return socket.request(m.put_u32(IFLA_MTU, want.mtu));
  }
  if (have.name != want.name) TRY(set_flags(socket, want.index, 0, IFF_UP));
  ifinfomsg h = header_for(want.index);
  h.ifi_flags = want.flags & kGuestFlags;
  h.ifi_change = kGuestFlags;
  Message m(RTM_SETLINK, 0, h);
  m.put_text(IFLA_IFNAME, want.name);
  if (!want.alias.empty()) m.put(IFLA_IFALIAS, want.alias);
  put_properties(m, want);
  return socket.request(m);
}

// What a bridge also tells is its present state, and a request that contains it is refused.
const Kind kBridgeData = {
    "bridge settings",
    0,
    {IFLA_BR_FORWARD_DELAY, IFLA_BR_HELLO_TIME, IFLA_BR_MAX_AGE, IFLA_BR_AGEING_TIME, IFLA_BR_STP_STATE,
     IFLA_BR_PRIORITY, IFLA_BR_VLAN_FILTERING, IFLA_BR_VLAN_PROTOCOL, IFLA_BR_GROUP_FWD_MASK, IFLA_BR_MCAST_ROUTER,
     IFLA_BR_MCAST_SNOOPING, IFLA_BR_MCAST_QUERIER, IFLA_BR_MCAST_HASH_MAX, IFLA_BR_NF_CALL_IPTABLES,
     IFLA_BR_NF_CALL_IP6TABLES, IFLA_BR_NF_CALL_ARPTABLES, IFLA_BR_VLAN_DEFAULT_PVID, IFLA_BR_MCAST_IGMP_VERSION,
     IFLA_BR_MCAST_MLD_VERSION}};

Result<std::string> kind_data(const Link& l) {
  if (l.kind != "bridge") return l.kind_data;
  TRY_AS(Record r, parse_record(kBridgeData, l.kind_data));
  // Refused even as "off" by a kernel built without it.
  if (const std::string* on = r.find(IFLA_BR_VLAN_FILTERING); on && *on == std::string(1, '\0'))
    r.erase(IFLA_BR_VLAN_FILTERING);
  return record_bytes(r);
}

Result<void> make(Netlink& socket, const Link& l) {
  TRY_AS(const std::string data, kind_data(l));
  ifinfomsg h = header_for(l.index);
  h.ifi_flags = l.flags & kGuestFlags;
  h.ifi_change = kGuestFlags;
  Message m(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, h, 4096 + data.size());
  m.put_text(IFLA_IFNAME, l.name);
  put_properties(m, l);
  if (l.lower != 0) m.put_u32(IFLA_LINK, static_cast<uint32_t>(l.lower));
  m.nest(IFLA_LINKINFO, [&] {
    m.put_text(IFLA_INFO_KIND, l.kind);
    if (!data.empty()) m.put(IFLA_INFO_DATA, data);
  });
  TRY(socket.request(m));
  if (l.alias.empty()) return {};
  Message alias(RTM_SETLINK, 0, header_for(l.index));
  return socket.request(alias.put(IFLA_IFALIAS, l.alias));
}

Result<void> make_guests(Netlink& socket, const std::vector<Link>& have, std::vector<SavedLink> links) {
  // A VLAN comes after the device it is on.
  std::stable_partition(links.begin(), links.end(), [](const SavedLink& s) { return s.link.lower == 0; });
  for (const SavedLink& s : links)
    if (s.role.empty() && !find(have, s.link.name))
      TRY(make(socket, s.link), "make the {} device '{}'", s.link.kind, s.link.name);
  for (const SavedLink& s : links) {
    if (s.link.master == 0) continue;
    Message m(RTM_SETLINK, 0, header_for(s.link.index));
    TRY(socket.request(m.put_u32(IFLA_MASTER, static_cast<uint32_t>(s.link.master))), "put '{}' into its bridge",
        s.link.name);
  }
  return {};
}

}  // namespace

Result<void> make_devices(Netlink& socket, int netns, const std::vector<SavedLink>& links) {
  TRY_AS(const auto have, list_links(socket));
  std::vector<Misnumbered> misnumbered;
  for (const SavedLink& s : links) {
    if (s.role.empty()) continue;
    const Link* l = find(have, s.role);
    if (!l) l = find(have, s.link.name);
    if (!l) return fail(Code::not_found, "network device '{}' is not there", s.role);
    if (l->index != s.link.index) misnumbered.push_back({l->index, s.link.index, l->name});
  }
  TRY(renumber(socket, netns, misnumbered));
  for (const SavedLink& s : links) {
    if (s.role.empty()) continue;
    const Link* l = find(have, s.role);
    TRY(adjust(socket, l ? *l : s.link, s.link), "network device '{}'", s.link.name);
  }
  return make_guests(socket, have, links);
}

Result<void> switch_devices(Netlink& socket, const std::vector<SavedLink>& links) {
  for (const SavedLink& s : links)
    TRY(set_flags(socket, s.link.index, s.link.flags, IFF_UP), "network device '{}'", s.link.name);
  return {};
}

}  // namespace vz::net
