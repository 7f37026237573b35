#include "net/uplinks.h"

#include <linux/if_addr.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/netlink.h"

namespace vz::net {

namespace {

int family_of(const std::string& address) { return address.size() == 16 ? AF_INET6 : AF_INET; }

bool can_be_uplink(const Link& l) { return l.up() && !l.loopback() && !l.mac.empty() && !l.name.starts_with("vnet."); }

// The device that packets to nowhere in particular leave by.
Result<int> default_device(Netlink& socket, int family) {
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(family);
  header.rtm_table = RT_TABLE_MAIN;
  Message m(RTM_GETROUTE, 0, header);
  m.put_u32(RTA_TABLE, RT_TABLE_MAIN);
  TRY_AS(const auto routes, socket.dump(m), "list the routes");
  for (const std::string& r : routes) {
    const auto h = header_of<rtmsg>(r);
    const Attributes a(r, sizeof h);
    if (h.rtm_dst_len == 0 && h.rtm_type == RTN_UNICAST && a.has(RTA_OIF)) return static_cast<int>(a.u32(RTA_OIF));
  }
  return 0;
}

}  // namespace

Result<std::vector<Assigned>> list_addresses(Netlink& socket, bool v6) {
  ifaddrmsg header{};
  header.ifa_family = v6 ? AF_INET6 : AF_INET;
  TRY_AS(const auto objects, socket.dump(Message(RTM_GETADDR, 0, header)), "list the addresses");
  std::vector<Assigned> out;
  for (const std::string& o : objects) {
    const auto h = header_of<ifaddrmsg>(o);
    const Attributes a(o, sizeof h);
    const std::string_view own = a.has(IFA_LOCAL) ? a.bytes(IFA_LOCAL) : a.bytes(IFA_ADDRESS);
    out.push_back(
        {static_cast<int>(h.ifa_index), std::string(own), h.ifa_prefixlen, a.u32(IFA_FLAGS, h.ifa_flags), h.ifa_scope});
  }
  return out;
}

bool contains(const Assigned& network, const std::string& address) {
  if (network.address.size() != address.size() || network.prefix > address.size() * 8) return false;
  const size_t whole = network.prefix / 8;
  if (network.address.compare(0, whole, address, 0, whole) != 0) return false;
  const unsigned rest = network.prefix % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return ((network.address[whole] ^ address[whole]) & mask) == 0;
}

Result<std::vector<Uplink>> uplinks_for(Netlink& socket, const std::string& address) {
  TRY_AS(const auto links, list_links(socket));
  TRY_AS(const auto assigned, list_addresses(socket, address.size() == 16));
  std::vector<Uplink> out;
  const auto add = [&](const Link& l, const std::string& source) {
    if (std::none_of(out.begin(), out.end(), [&](const Uplink& u) { return u.index == l.index; }))
      out.push_back({l.index, l.name, mac_bytes(l.mac), source});
  };
  for (const Link& l : links)
    for (const Assigned& a : assigned)
      if (can_be_uplink(l) && a.index == l.index && a.prefix < address.size() * 8 && contains(a, address))
        add(l, a.address);
  if (!out.empty()) return out;
  TRY_AS(const int device, default_device(socket, family_of(address)));
  const auto own = std::find_if(assigned.begin(), assigned.end(), [&](const Assigned& a) { return a.index == device; });
  for (const Link& l : links)
    if (l.index == device && can_be_uplink(l)) add(l, own == assigned.end() ? std::string() : own->address);
  return out;
}

Result<std::optional<Way>> way_to(Netlink& socket, const std::string& address) {
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(family_of(address));
  header.rtm_dst_len = static_cast<unsigned char>(address.size() * 8);
  header.rtm_flags = RTM_F_FIB_MATCH;
  Message m(RTM_GETROUTE, 0, header);
  m.put(RTA_DST, address);
  auto object = socket.get(m);
  if (!object) {
    const int err = object.error().sys_errno;
    if (err == ENETUNREACH || err == EHOSTUNREACH || err == ESRCH || err == EACCES) return std::optional<Way>();
    return std::move(object.error()).context("look up the route to " + address_text(address));
  }
  const auto h = header_of<rtmsg>(*object);
  const Attributes a(*object, sizeof h);
  return std::optional(Way{static_cast<int>(a.u32(RTA_OIF)), h.rtm_type == RTN_LOCAL,
                           h.rtm_dst_len == address.size() * 8 && h.rtm_type == RTN_UNICAST});
}

}  // namespace vz::net
