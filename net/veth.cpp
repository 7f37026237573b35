#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>

#include <cerrno>

#include "base/strings.h"
#include "net/link.h"
#include "net/net.h"
#include "net/netlink.h"
#include "net/netns.h"
#include "net/sysctl.h"

namespace vz::net {

namespace {

// Device numbers in a CT are chosen by us: packet sockets, multicast memberships, `iif` firewall rules and a guest's
// network manager remember them, so after a move they must be what they were, whatever the hosts did to the order of
// creation. The kernel's own numbering of a namespace begins at 1 and includes fallback tunnels, hence the distance.
constexpr int kFirstIndex = 32;

int index_inside(const std::string& ct_name) {
  if (ct_name == "venet0") return kFirstIndex;
  const auto n = eth_number(ct_name);
  return n ? kFirstIndex + 1 + static_cast<int>(*n) : 0;
}

Result<void> check(const Veth& v) {
  for (const std::string& name : {v.host_name, v.ct_name, v.bridge.empty() ? v.host_name : v.bridge})
    if (!valid_ifname(name)) return fail(Code::invalid, "'{}' is not a network device name", printable(name));
  for (const std::string& mac : {v.host_mac, v.ct_mac})
    if (!valid_mac(mac)) return fail(Code::invalid, "'{}' is not a MAC address of a device", printable(mac));
  return {};
}

// 0 for "".
Result<int> bridge_index(Netlink& socket, const std::string& name) {
  if (name.empty()) return 0;
  auto link = find_link(socket, name);
  if (!link && link.error().code == Code::not_found)
    return fail(Code::not_found, "bridge '{}' does not exist; make it, or choose another one", name);
  if (!link) return std::move(link.error());
  if (link->kind != "bridge") return fail(Code::invalid, "'{}' is not a bridge", name);
  return link->index;
}

// The request is made in the CT's namespace, whose end is thus born there, its index being ours to choose; the host's
// end goes the other way as the peer.
Message create_request(const Veth& v, int host_netns, int index, bool up_inside) {
  ifinfomsg ct{};
  ct.ifi_index = index;
  if (up_inside) ct.ifi_flags = ct.ifi_change = IFF_UP;
  const ifinfomsg host{};
  Message m(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ct);
  m.put_text(IFLA_IFNAME, v.ct_name).put(IFLA_ADDRESS, mac_bytes(v.ct_mac));
  m.nest(IFLA_LINKINFO, [&] {
    m.put_text(IFLA_INFO_KIND, "veth");
    m.nest(IFLA_INFO_DATA, [&] {
      m.nest(VETH_INFO_PEER, [&] {
        m.raw({reinterpret_cast<const char*>(&host), sizeof host});
        m.put_text(IFLA_IFNAME, v.host_name).put(IFLA_ADDRESS, mac_bytes(v.host_mac));
        m.put_u32(IFLA_NET_NS_FD, static_cast<uint32_t>(host_netns));
      });
    });
  });
  return m;
}

Result<void> create(Netlink& inside, const Veth& v, bool up_inside) {
  TRY_AS(const sys::UniqueFd home, current_netns());
  const int index = index_inside(v.ct_name);
  auto made = inside.request(create_request(v, home.get(), index, up_inside));
  if (made || made.error().sys_errno != EEXIST) return made;
  if (link_exists(v.host_name))
    return fail(Code::exists, "the name '{}' is taken by another network device of this host", v.host_name);
  if (find_link(inside, v.ct_name)) return fail(Code::exists, "the name '{}' is taken in the container", v.ct_name);
  return inside.request(create_request(v, home.get(), 0, up_inside));  // it was the number that is taken
}

// Before the device is up: it gets no link-local address of its own, and router advertisements and redirects that a CT
// sends do not reach this host's configuration (a bridge port does not listen to them anyway).
Result<void> shield_host(const std::string& host_name, bool port) {
  if (!has_ipv6()) return {};
  const std::string conf = "ipv6/conf/" + host_name + "/";
  TRY(write_sysctl(conf + "addr_gen_mode", "1"));
  if (port) return {};
  for (const char* knob : {"accept_ra", "autoconf", "accept_redirects"}) TRY(write_sysctl(conf + knob, "0"));
  return {};
}

Result<void> raise_host_end(Netlink& here, const Veth& v, int bridge) {
  TRY(shield_host(v.host_name, bridge != 0));
  ifinfomsg up{};
  up.ifi_flags = up.ifi_change = IFF_UP;
  Message m(RTM_SETLINK, 0, up);
  m.put_text(IFLA_IFNAME, v.host_name);
  if (bridge != 0) m.put_u32(IFLA_MASTER, static_cast<uint32_t>(bridge));
  return here.request(m);
}

}  // namespace

Result<void> loopback_up(int netns) {
  TRY_AS(Netlink inside, Netlink::open_in(netns));
  ifinfomsg lo{};
  lo.ifi_index = 1;
  lo.ifi_flags = lo.ifi_change = IFF_UP;
  TRY(inside.request(Message(RTM_SETLINK, 0, lo)), "bring the loopback device up");
  return {};
}

Result<void> add_veth(const Veth& veth, int netns, bool up_inside) {
  TRY(check(veth), "network device '{}'", veth.ct_name);
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const int bridge, bridge_index(here, veth.bridge), "network device '{}'", veth.ct_name);
  TRY_AS(Netlink inside, Netlink::open_in(netns));
  TRY(create(inside, veth, up_inside), "make the pair '{}' and '{}'", veth.host_name, veth.ct_name);
  if (auto r = raise_host_end(here, veth, bridge); !r) {
    (void)remove_link(veth.host_name);
    return std::move(r.error()).context(fmt::format("bring '{}' up", veth.host_name));
  }
  return {};
}

Result<void> remove_link(const std::string& host_name) {
  TRY_AS(Netlink here, Netlink::open());
  Message m(RTM_DELLINK, 0, ifinfomsg{});
  m.put_text(IFLA_IFNAME, host_name);
  auto r = here.request(m);
  if (!r && r.error().sys_errno != ENODEV)
    return std::move(r.error()).context(fmt::format("remove network device '{}'", host_name));
  return {};
}

bool link_exists(const std::string& host_name) { return ::if_nametoindex(host_name.c_str()) != 0; }

Result<void> set_master(const std::string& host_name, const std::string& bridge) {
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const int index, bridge_index(here, bridge), "network device '{}'", host_name);
  Message m(RTM_SETLINK, 0, ifinfomsg{});
  m.put_text(IFLA_IFNAME, host_name).put_u32(IFLA_MASTER, static_cast<uint32_t>(index));
  TRY(here.request(m), "put '{}' into bridge '{}'", host_name, bridge);
  return {};
}

}  // namespace vz::net
