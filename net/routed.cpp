#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "base/log.h"
#include "net/link.h"
#include "net/net.h"
#include "net/netlink.h"
#include "net/sysctl.h"
#include "net/uplinks.h"

namespace vz::net {

namespace {

using config::IpAddress;

// What the CT sends everything to. Nobody has these addresses: a permanent neighbour entry leads to the host's end.
const IpAddress kGateway4{"169.254.1.1", std::nullopt, false};
const IpAddress kGateway6{"fe80::1", std::nullopt, true};

unsigned char family_of(const IpAddress& a) { return a.v6 ? AF_INET6 : AF_INET; }
unsigned char full_length(const IpAddress& a) { return a.v6 ? 128 : 32; }

Result<void> ignore(Result<void> r, std::initializer_list<int> errors) {
  if (!r && std::find(errors.begin(), errors.end(), r.error().sys_errno) != errors.end()) return {};
  return r;
}

// ---- requests -----------------------------------------------------------------------------------------------------

Message address_request(int type, int flags, const IpAddress& a, const std::string& bytes, int index) {
  ifaddrmsg h{};
  h.ifa_family = family_of(a);
  h.ifa_prefixlen = full_length(a);
  h.ifa_index = static_cast<uint32_t>(index);
  if (a.v6) h.ifa_flags = IFA_F_NODAD;  // the host answers for the address, there is nobody to ask on this link
  Message m(type, flags, h);
  m.put(IFA_LOCAL, bytes).put(IFA_ADDRESS, bytes);
  return m;
}

Message neighbour_request(int type, int flags, const IpAddress& a, const std::string& bytes, int index) {
  ndmsg h{};
  h.ndm_family = family_of(a);
  h.ndm_ifindex = index;
  h.ndm_state = NUD_PERMANENT;
  Message m(type, flags, h);
  m.put(NDA_DST, bytes);
  return m;
}

Message proxy_request(int type, int flags, unsigned char family, const std::string& bytes, int index) {
  ndmsg h{};
  h.ndm_family = family;
  h.ndm_ifindex = index;
  h.ndm_state = NUD_PERMANENT;
  h.ndm_flags = NTF_PROXY;
  Message m(type, flags, h);
  m.put(NDA_DST, bytes);
  return m;
}

rtmsg route_header(const IpAddress& a) {
  rtmsg h{};
  h.rtm_family = family_of(a);
  h.rtm_table = RT_TABLE_MAIN;
  h.rtm_protocol = RTPROT_STATIC;
  h.rtm_type = RTN_UNICAST;
  return h;
}

Message host_route_request(int type, int flags, const IpAddress& a, const std::string& bytes, int index) {
  rtmsg h = route_header(a);
  h.rtm_dst_len = full_length(a);
  h.rtm_scope = a.v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  Message m(type, flags, h);
  m.put(RTA_DST, bytes).put_u32(RTA_OIF, static_cast<uint32_t>(index));
  return m;
}

Message default_route_request(int type, int flags, const IpAddress& gateway, const std::string& bytes, int index) {
  rtmsg h = route_header(gateway);
  h.rtm_flags = RTNH_F_ONLINK;
  Message m(type, flags, h);
  m.put(RTA_GATEWAY, bytes).put_u32(RTA_OIF, static_cast<uint32_t>(index));
  return m;
}

// ---- the CT's side ------------------------------------------------------------------------------------------------

struct Inside {
  Netlink socket;
  int index;  // of venet0
};

Result<Inside> open_inside(const Routed& r, int netns) {
  TRY_AS(Netlink socket, Netlink::open_in(netns));
  TRY_AS(const Link link, find_link(socket, r.veth.ct_name), "in the container");
  return Inside{std::move(socket), link.index};
}

Result<void> configure(Inside& in, const Routed& r, const IpAddress& a) {
  const IpAddress& gateway = a.v6 ? kGateway6 : kGateway4;
  TRY_AS(const std::string bytes, address_bytes(a));
  TRY_AS(const std::string gateway_bytes, address_bytes(gateway));
  TRY(in.socket.request(address_request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, a, bytes, in.index)),
      "give address {} to '{}'", a.address, r.veth.ct_name);
  Message neighbour = neighbour_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, gateway, gateway_bytes, in.index);
  neighbour.put(NDA_LLADDR, mac_bytes(r.veth.host_mac));
  TRY(in.socket.request(neighbour), "neighbour entry of the gateway in the container");
  // A default route that the guest already has is left alone.
  TRY(ignore(in.socket.request(
                 default_route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, gateway, gateway_bytes, in.index)),
             {EEXIST}),
      "default route in the container");
  return {};
}

Result<void> unconfigure(Inside& in, const IpAddress& a) {
  TRY_AS(const std::string bytes, address_bytes(a));
  TRY(ignore(in.socket.request(address_request(RTM_DELADDR, 0, a, bytes, in.index)), {EADDRNOTAVAIL}),
      "take address {} away in the container", a.address);
  TRY_AS(const auto left, list_addresses(in.socket, a.v6));
  if (std::any_of(left.begin(), left.end(),
                  [&](const Assigned& x) { return x.index == in.index && x.scope != RT_SCOPE_LINK; }))
    return {};
  const IpAddress& gateway = a.v6 ? kGateway6 : kGateway4;
  TRY_AS(const std::string gateway_bytes, address_bytes(gateway));
  TRY(ignore(in.socket.request(default_route_request(RTM_DELROUTE, 0, gateway, gateway_bytes, in.index)),
             {ESRCH, ENETDOWN}));
  return ignore(in.socket.request(neighbour_request(RTM_DELNEIGH, 0, gateway, gateway_bytes, in.index)), {ENOENT});
}

// ---- the host's side ----------------------------------------------------------------------------------------------

// Strict source checks and forwarding for this one device, in one step: before it, nothing is forwarded from there.
Result<void> set_host_end(Netlink& here, const Link& link) {
  ifinfomsg h{};
  h.ifi_index = link.index;
  Message m(RTM_SETLINK, 0, h);
  m.nest(IFLA_AF_SPEC, [&] {
    m.nest(AF_INET, [&] {
      m.nest(IFLA_INET_CONF, [&] {
        m.put_u32(IPV4_DEVCONF_RP_FILTER, 1).put_u32(IPV4_DEVCONF_ACCEPT_REDIRECTS, 0);
        m.put_u32(IPV4_DEVCONF_SEND_REDIRECTS, 0).put_u32(IPV4_DEVCONF_FORWARDING, 1);
      });
    });
  });
  TRY(here.request(m), "settings of '{}'", link.name);
  return {};
}

void warn_once(const std::string& text) {
  static std::set<std::string> said;
  if (said.insert(text).second) log::warn("{}", text);
}

bool is_zero(const std::string& sysctl) {
  const auto value = read_sysctl(sysctl);
  return value && *value == "0";
}

// Forwarding is the administrator's decision: it is said, not changed.
void check_forwarding(const std::string& uplink, bool v6) {
  if (!v6 && is_zero(fmt::format("ipv4/conf/{}/forwarding", uplink)))
    warn_once(
        fmt::format("IP forwarding is not enabled on {}: containers with routed addresses cannot be reached through "
                    "it; set net.ipv4.ip_forward=1",
                    uplink));
  if (v6 && (is_zero("ipv6/conf/all/forwarding") || is_zero(fmt::format("ipv6/conf/{}/forwarding", uplink))))
    warn_once(
        fmt::format("IPv6 forwarding is not enabled on {}: containers with routed addresses cannot be reached "
                    "through it; set net.ipv6.conf.all.forwarding=1",
                    uplink));
}

Result<void> answer_on(Netlink& here, const Uplink& uplink, const IpAddress& a, const std::string& bytes) {
  // Where it lived before it came here. When it leaves again, packets for it must wait for the next host's
  // announcement; with the old entry they went there, and from there back here, until their time to live ended.
  TRY(ignore(here.request(neighbour_request(RTM_DELNEIGH, 0, a, bytes, uplink.index)), {ENOENT}),
      "forget the neighbour {} on '{}'", a.address, uplink.name);
  TRY(here.request(proxy_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, family_of(a), bytes, uplink.index)),
      "answer for {} on '{}'", a.address, uplink.name);
  const std::string family = a.v6 ? "ipv6" : "ipv4";
  if (a.v6) TRY(write_sysctl(fmt::format("ipv6/conf/{}/proxy_ndp", uplink.name), "1"));
  // By default the kernel lets up to 0.8 s pass before it answers for somebody else.
  TRY(write_sysctl(fmt::format("{}/neigh/{}/proxy_delay", family, uplink.name), "0"));
  check_forwarding(uplink.name, a.v6);
  return {};
}

Result<void> publish_one(Netlink& here, int device, const Routed& r, const IpAddress& a) {
  TRY_AS(const std::string bytes, address_bytes(a));
  auto added = here.request(host_route_request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, a, bytes, device));
  if (!added && added.error().sys_errno == EEXIST) {
    TRY_AS(const auto way, way_to(here, bytes));
    if (!way || way->index != device)
      return fail(Code::address_in_use, "address {} is routed to another device of this host", a.address);
  } else if (!added) {
    return std::move(added.error()).context(fmt::format("route {} to '{}'", a.address, r.veth.host_name));
  }
  Message neighbour = neighbour_request(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, a, bytes, device);
  neighbour.put(NDA_LLADDR, mac_bytes(r.veth.ct_mac));
  TRY(here.request(neighbour), "neighbour entry of {}", a.address);
  TRY_AS(const auto uplinks, uplinks_for(here, bytes));
  for (const Uplink& u : uplinks) TRY(answer_on(here, u, a, bytes));
  return {};
}

Result<void> stop_answering(Netlink& here, bool v6, const std::set<std::string>& addresses) {
  ndmsg h{};
  h.ndm_family = v6 ? AF_INET6 : AF_INET;
  h.ndm_flags = NTF_PROXY;
  TRY_AS(const auto entries, here.dump(Message(RTM_GETNEIGH, 0, h)), "list the proxied neighbours");
  for (const std::string& e : entries) {
    const auto entry = header_of<ndmsg>(e);
    const std::string bytes(Attributes(e, sizeof entry).bytes(NDA_DST));
    if (!addresses.count(bytes)) continue;
    TRY(ignore(here.request(proxy_request(RTM_DELNEIGH, 0, h.ndm_family, bytes, entry.ndm_ifindex)), {ENOENT}),
        "stop answering for {}", address_text(bytes));
  }
  return {};
}

// The kernel takes the pair away by itself, in its own time, when the container's namespace ends.
constexpr std::initializer_list<int> kGone = {ESRCH, ENOENT, ENODEV};

// Route and answers go, unless the address meanwhile belongs to another CT of this host. DEVICE may be gone (0), and
// then its routes went with it.
Result<void> unpublish(Netlink& here, int device, const std::vector<IpAddress>& addresses) {
  std::set<std::string> families[2];
  for (const IpAddress& a : addresses) {
    TRY_AS(const std::string bytes, address_bytes(a));
    if (device != 0) {
      TRY(ignore(here.request(host_route_request(RTM_DELROUTE, 0, a, bytes, device)), kGone), "route of {}", a.address);
      TRY(ignore(here.request(neighbour_request(RTM_DELNEIGH, 0, a, bytes, device)), kGone));
    }
    TRY_AS(const auto way, way_to(here, bytes));
    if (!way || !way->host_route) families[a.v6].insert(bytes);
  }
  for (const bool v6 : {false, true})
    if (!families[v6].empty()) TRY(stop_answering(here, v6, families[v6]));
  return {};
}

// 0: there is no such device.
Result<int> device_index(Netlink& here, const std::string& name) {
  auto link = find_link(here, name);
  if (link) return link->index;
  if (link.error().code == Code::not_found) return 0;
  return std::move(link.error());
}

Result<void> add(const Routed& routed, const std::vector<IpAddress>& addresses, int netns) {
  if (!link_exists(routed.veth.host_name)) TRY(add_veth(routed.veth, netns, true));
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const Link host_end, find_link(here, routed.veth.host_name));
  TRY_AS(Inside in, open_inside(routed, netns));
  TRY(set_host_end(here, host_end));
  for (const IpAddress& a : addresses) {
    TRY(configure(in, routed, a));
    TRY(publish_one(here, host_end.index, routed, a));
  }
  return {};
}

}  // namespace

Result<void> add_routed(const Routed& routed, int netns) { return add(routed, routed.addresses, netns); }

Result<void> add_address(const Routed& routed, const IpAddress& address, int netns) {
  return add(routed, {address}, netns);
}

Result<void> remove_address(const Routed& routed, const IpAddress& address, int netns) {
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const int device, device_index(here, routed.veth.host_name));
  TRY(unpublish(here, device, {address}));
  if (device == 0) return {};
  TRY_AS(Inside in, open_inside(routed, netns));
  return unconfigure(in, address);
}

Result<void> publish(const Routed& routed) {
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const Link host_end, find_link(here, routed.veth.host_name));
  TRY(set_host_end(here, host_end));
  for (const IpAddress& a : routed.addresses) TRY(publish_one(here, host_end.index, routed, a));
  return {};
}

Result<void> withdraw(const Routed& routed) {
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const int device, device_index(here, routed.veth.host_name));
  return unpublish(here, device, routed.addresses);
}

}  // namespace vz::net
