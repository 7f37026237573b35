#include "net/lent.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>

#include "base/log.h"
#include "base/strings.h"
#include "net/link.h"
#include "net/net.h"
#include "net/netlink.h"
#include "net/netns.h"
#include "net/uplinks.h"

namespace vz::net {

namespace {

constexpr int kFirstLent = 2000;  // beyond those of veth.cpp

ifinfomsg link_header(int index) {
  ifinfomsg header{};
  header.ifi_index = index;
  return header;
}

int below(const Link& l) { return l.lower_is_foreign ? l.lower : 0; }

Result<bool> is_there(Netlink& inside, const LentDevice& device) {
  TRY_AS(const auto links, list_links(inside));
  return std::any_of(links.begin(), links.end(), [&](const Link& l) {
    return l.index == device.index && l.kind == device.kind && below(l) == device.below;
  });
}

// What of this host's depends on it; empty: nothing.
Result<std::string> user_of(Netlink& here, const Link& device) {
  TRY_AS(const auto links, list_links(here));
  for (const Link& l : links) {
    if (l.index == device.master) return fmt::format("it is a port of '{}'", l.name);
    if (l.lower == device.index && !l.lower_is_foreign && l.kind != "veth")
      return fmt::format("'{}' is made on it", l.name);
  }
  for (const bool v6 : {false, true}) {
    TRY_AS(const auto assigned, list_addresses(here, v6));
    for (const Assigned& a : assigned)
      if (a.index == device.index && a.scope < RT_SCOPE_LINK)
        return fmt::format("this host has the address {} on it", address_text(a.address));
  }
  return std::string();
}

Message move_request(int index, int netns) {
  Message m(RTM_SETLINK, 0, link_header(index));
  m.put_u32(IFLA_NET_NS_FD, static_cast<uint32_t>(netns));
  return m;
}

Result<void> return_as(Netlink& inside, int index, int home, const std::string& name) {
  Message m = move_request(index, home);
  m.put_text(IFLA_IFNAME, name);
  return inside.request(m);
}

// What the guest may have changed.
Result<void> restore_looks(const LentDevice& device) {
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const Link now, find_link(here, device.name));
  Message m(RTM_SETLINK, 0, link_header(now.index));
  if (!device.mac.empty() && now.mac != device.mac) m.put(IFLA_ADDRESS, mac_bytes(device.mac));
  if (now.mtu != device.mtu) m.put_u32(IFLA_MTU, device.mtu);
  return here.request(m);
}

}  // namespace

std::string print_lent(const std::vector<LentDevice>& devices) {
  std::string out;
  for (const LentDevice& d : devices)
    out += fmt::format("{} {} {} {} {} {}\n", d.name, d.index, d.mtu, d.below, d.mac.empty() ? "-" : d.mac,
                       d.kind.empty() ? "-" : d.kind);
  return out;
}

std::vector<LentDevice> parse_lent(std::string_view text) {
  std::vector<LentDevice> out;
  for (const std::string_view line : split(text, '\n')) {
    const auto w = words(line);
    if (w.size() != 6 || !valid_ifname(w[0]) || (w[4] != "-" && !valid_mac(w[4]))) continue;
    const auto index = parse_u64(w[1]), mtu = parse_u64(w[2]), below = parse_u64(w[3]);
    if (!index || *index == 0 || *index > INT32_MAX || !mtu || *mtu > UINT32_MAX || !below || *below > INT32_MAX)
      continue;
    const auto or_empty = [](std::string_view part) { return part == "-" ? std::string() : std::string(part); };
    out.push_back({std::string(w[0]), static_cast<int>(*index), or_empty(w[4]), static_cast<uint32_t>(*mtu),
                   or_empty(w[5]), static_cast<int>(*below)});
  }
  return out;
}

int next_lent_index(const std::vector<LentDevice>& others) {
  int index = kFirstLent;
  const auto taken = [&] {
    return std::any_of(others.begin(), others.end(), [&](const LentDevice& d) { return d.index == index; });
  };
  while (taken()) ++index;
  return index;
}

Result<LentDevice> find_to_lend(const std::string& name) {
  TRY_AS(Netlink here, Netlink::open());
  const auto link = find_link(here, name);
  if (!link) return fail(Code::network_failed, "NETDEV: {} on this host, or a container has it", link.error().text);
  TRY_AS(const std::string user, user_of(here, *link));
  if (!user.empty()) return fail(Code::network_failed, "NETDEV: network device '{}' is in use: {}", name, user);
  return LentDevice{name, 0, valid_mac(link->mac) ? link->mac : std::string(), link->mtu, link->kind, below(*link)};
}

Result<LentDevice> lend(const LentDevice& device, int netns) {
  TRY_AS(Netlink here, Netlink::open());
  TRY_AS(const Link link, find_link(here, device.name));
  Message m = move_request(link.index, netns);
  m.put_u32(IFLA_NEW_IFINDEX, static_cast<uint32_t>(device.index));
  auto moved = here.request(m);
  TRY_AS(Netlink inside, Netlink::open_in(netns));
  if (!moved && (moved.error().sys_errno == EBUSY || moved.error().sys_errno == EEXIST)) {
    if (find_link(inside, device.name))
      return fail(Code::network_failed, "NETDEV: the name '{}' is taken in the container", device.name);
    moved = here.request(move_request(link.index, netns));  // it was the number that is taken
  }
  if (!moved)
    return std::move(moved.error())
        .context(fmt::format("NETDEV: network device '{}' cannot be moved", device.name))
        .with_code(Code::network_failed);
  TRY_AS(const Link there, find_link(inside, device.name));
  LentDevice lent = device;
  lent.index = there.index;
  lent.below = below(there);
  return lent;
}

Result<void> take_back(const LentDevice& device, int netns) {
  TRY_AS(const sys::UniqueFd home, current_netns());
  TRY_AS(Netlink inside, Netlink::open_in(netns));
  TRY_AS(const bool there, is_there(inside, device));
  if (!there) return fail(Code::not_found, "network device '{}' is not in the container any more", device.name);
  auto back = return_as(inside, device.index, home.get(), device.name);
  if (!back && back.error().sys_errno == EEXIST) {
    log::warn("NETDEV: '{}' comes back under another name: this host has a device of that name", device.name);
    return return_as(inside, device.index, home.get(), "netdev%d");
  }
  TRY(std::move(back), "bring network device '{}' back", device.name);
  return restore_looks(device);
}

}  // namespace vz::net
