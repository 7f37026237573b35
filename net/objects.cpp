#include "net/objects.h"

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/netlink.h"

namespace vz::net {

namespace {

constexpr uint16_t kAddressPriority = 9, kAddressProtocol = 11;  // IFA_RT_PRIORITY, IFA_PROTO: not in older headers
constexpr uint16_t kNeighbourFlags = 15;                         // NDA_FLAGS_EXT

const Kind kKinds[] = {
    {"address",
     sizeof(ifaddrmsg),
     {IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_ANYCAST, IFA_CACHEINFO, IFA_FLAGS, kAddressPriority,
      kAddressProtocol}},
    {"route",
     sizeof(rtmsg),
     {RTA_DST, RTA_SRC, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS, RTA_MULTIPATH, RTA_FLOW,
      RTA_CACHEINFO, RTA_TABLE, RTA_VIA, RTA_PREF, RTA_ENCAP_TYPE, RTA_ENCAP}},
    {"routing rule",
     sizeof(fib_rule_hdr),
     {FRA_DST, FRA_SRC, FRA_IIFNAME, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK, FRA_FLOW, FRA_TUN_ID, FRA_SUPPRESS_IFGROUP,
      FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_FWMASK, FRA_OIFNAME, FRA_L3MDEV, FRA_UID_RANGE, FRA_PROTOCOL, FRA_IP_PROTO,
      FRA_SPORT_RANGE, FRA_DPORT_RANGE}},
    {"neighbour", sizeof(ndmsg), {NDA_DST, NDA_LLADDR, NDA_VLAN, NDA_PROTOCOL, kNeighbourFlags}},
};

struct Verbs {
  int get, add, remove;
};
constexpr Verbs kVerbs[] = {{RTM_GETADDR, RTM_NEWADDR, RTM_DELADDR},
                            {RTM_GETROUTE, RTM_NEWROUTE, RTM_DELROUTE},
                            {RTM_GETRULE, RTM_NEWRULE, RTM_DELRULE},
                            {RTM_GETNEIGH, RTM_NEWNEIGH, RTM_DELNEIGH}};
const Verbs& verbs(ObjectKind kind) { return kVerbs[static_cast<size_t>(kind)]; }

std::string u32_bytes(uint32_t v) { return {reinterpret_cast<const char*>(&v), sizeof v}; }

bool is_v6(const Record& r) { return r.header.at(0) == AF_INET6; }  // every family header begins with it

// ---- addresses ----------------------------------------------------------------------------------------------------

uint32_t address_flags(const Record& r) { return r.find(IFA_FLAGS) ? r.u32(IFA_FLAGS) : r.as<ifaddrmsg>().ifa_flags; }

void set_address_flags(Record& r, uint32_t flags) {
  auto h = r.as<ifaddrmsg>();
  h.ifa_flags = static_cast<uint8_t>(flags);
  r.put(h);
  r.set(IFA_FLAGS, u32_bytes(flags));
}

// A tentative address is not what was saved as a usable one, hence it stays among the flags that count.
constexpr uint32_t kOwnFlags =
    IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;

bool lives_for_ever(const Record& r) {
  ifa_cacheinfo c{};
  const std::string* data = r.find(IFA_CACHEINFO);
  if (!data || data->size() < sizeof c) return true;
  std::memcpy(&c, data->data(), sizeof c);
  return c.ifa_valid == UINT32_MAX;
}

Result<void> add_address(Netlink& socket, const Record& wanted) {
  const uint32_t flags = address_flags(wanted);
  Record r = wanted;
  const auto send = [&](uint32_t f, int how) {
    set_address_flags(r, f);
    return socket.request(record_message(RTM_NEWADDR, NLM_F_CREATE | how, r));
  };
  if (!is_v6(r) || flags & IFA_F_DADFAILED) return send(flags & kOwnFlags, NLM_F_EXCL);
  // Usable at once, and then without the flag that made it so: it is a lasting property that the guest did not choose.
  TRY(send((flags & kOwnFlags) | IFA_F_NODAD, NLM_F_EXCL));
  return flags & IFA_F_NODAD ? Result<void>() : send(flags & kOwnFlags, NLM_F_REPLACE);
}

// ---- routes -------------------------------------------------------------------------------------------------------

// Link states, which a request must not contain, in the route and in each of its next hops.
constexpr uint32_t kOwnHopFlags = RTNH_F_ONLINK | RTNH_F_PERVASIVE;

std::string without_link_states(std::string hops) {
  for (size_t at = 0; at + sizeof(rtnexthop) <= hops.size();) {
    rtnexthop h;
    std::memcpy(&h, hops.data() + at, sizeof h);
    h.rtnh_flags &= kOwnHopFlags;
    std::memcpy(hops.data() + at, &h, sizeof h);
    if (h.rtnh_len < sizeof h) break;
    at += RTNH_ALIGN(h.rtnh_len);
  }
  return hops;
}

uint32_t seconds_left(const Record& route) {
  rta_cacheinfo c{};
  const std::string* data = route.find(RTA_CACHEINFO);
  if (!data || data->size() < sizeof c) return 0;
  std::memcpy(&c, data->data(), sizeof c);
  return c.rta_expires > 0 ? static_cast<uint32_t>(c.rta_expires / ::sysconf(_SC_CLK_TCK)) : 0;
}

Record route_request(const Record& wanted) {
  Record r = comparable(ObjectKind::route, wanted);
  if (const uint32_t left = seconds_left(wanted); left > 0) r.set(RTA_EXPIRES, u32_bytes(left));
  return r;
}

bool through_gateway(const Record& r) { return r.find(RTA_GATEWAY) || r.find(RTA_VIA) || r.find(RTA_MULTIPATH); }

// ---- all ----------------------------------------------------------------------------------------------------------

bool worth_keeping(ObjectKind kind, const Record& r) {
  if (kind == ObjectKind::route) return r.u32(RTA_TABLE) != RT_TABLE_LOCAL && !(r.as<rtmsg>().rtm_flags & RTM_F_CLONED);
  if (kind == ObjectKind::neighbour)
    return r.as<ndmsg>().ndm_state & NUD_PERMANENT || r.as<ndmsg>().ndm_flags & NTF_PROXY;
  return true;
}

Result<void> dump_into(Netlink& socket, ObjectKind kind, const Message& request, std::vector<Record>& out) {
  TRY_AS(const auto objects, socket.dump(request), "read each {}", object_kind(kind).name);
  for (const std::string& o : objects) {
    TRY_AS(Record r, parse_record(object_kind(kind), o));
    if (worth_keeping(kind, r)) out.push_back(std::move(r));
  }
  return {};
}

Result<void> change(Netlink& socket, int type, int flags, const Record& r) {
  return socket.request(record_message(type, flags, r));
}

Result<void> add_one(Netlink& socket, ObjectKind kind, const Record& wanted) {
  switch (kind) {
    case ObjectKind::address:
      return add_address(socket, wanted);
    case ObjectKind::route:
      return change(socket, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, route_request(wanted));
    case ObjectKind::rule:
      return change(socket, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, wanted);
    case ObjectKind::neighbour:
      return change(socket, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, wanted);
  }
  return {};
}

bool same(ObjectKind kind, const Record& a, const Record& b) { return comparable(kind, a) == comparable(kind, b); }

bool is_among(ObjectKind kind, const Record& r, const std::vector<Record>& all) {
  return std::any_of(all.begin(), all.end(), [&](const Record& x) { return same(kind, r, x); });
}

// An IPv4 address's rank among its subnet's is its place in the device's list: a list that only grows at its end can be
// completed, any other has to be made anew.
bool is_beginning_of(const std::vector<Record>& have, const std::vector<Record>& wanted, int device) {
  std::vector<const Record*> a, b;
  const auto pick = [device](const std::vector<Record>& from, std::vector<const Record*>& to) {
    for (const Record& r : from)
      if (!is_v6(r) && device_of(ObjectKind::address, r) == device) to.push_back(&r);
  };
  pick(have, a);
  pick(wanted, b);
  return a.size() <= b.size() && std::equal(a.begin(), a.end(), b.begin(), [](const Record* x, const Record* y) {
           return same(ObjectKind::address, *x, *y);
         });
}

bool superfluous(ObjectKind kind, const Record& r, const std::vector<Record>& have, const std::vector<Record>& wanted) {
  if (kind == ObjectKind::neighbour) return false;
  if (kind == ObjectKind::address && !is_v6(r)) return !is_beginning_of(have, wanted, device_of(kind, r));
  return !is_among(kind, r, wanted);
}

}  // namespace

const Kind& object_kind(ObjectKind kind) { return kKinds[static_cast<size_t>(kind)]; }

int device_of(ObjectKind kind, const Record& r) {
  switch (kind) {
    case ObjectKind::address:
      return static_cast<int>(r.as<ifaddrmsg>().ifa_index);
    case ObjectKind::route:
      return static_cast<int>(r.u32(RTA_OIF));
    case ObjectKind::neighbour:
      return r.as<ndmsg>().ndm_ifindex;
    case ObjectKind::rule:
      break;
  }
  return 0;
}

Record comparable(ObjectKind kind, Record r) {
  if (kind == ObjectKind::address) {
    const uint32_t flags = address_flags(r);
    const bool for_ever = lives_for_ever(r);
    // An address with a lifetime is made anew, so that it gets the one that was left.
    if (for_ever) r.erase(IFA_CACHEINFO);
    set_address_flags(r, flags & (kOwnFlags | IFA_F_TENTATIVE | IFA_F_DADFAILED));
  }
  if (kind == ObjectKind::route) {
    auto h = r.as<rtmsg>();
    h.rtm_flags &= kOwnHopFlags;
    r.put(h);
    r.erase(RTA_CACHEINFO);
    if (const std::string* hops = r.find(RTA_MULTIPATH)) r.set(RTA_MULTIPATH, without_link_states(*hops));
  }
  return r;
}

Result<std::vector<Record>> read_objects(Netlink& socket, ObjectKind kind) {
  std::vector<Record> out;
  for (const unsigned char family : {AF_INET, AF_INET6}) {
    std::string header(object_kind(kind).header_size, '\0');
    header[0] = static_cast<char>(family);
    TRY(dump_into(socket, kind, Message(verbs(kind).get, 0, header, 0), out));
    if (kind != ObjectKind::neighbour) continue;
    ndmsg proxied{};
    proxied.ndm_family = family;
    proxied.ndm_flags = NTF_PROXY;
    TRY(dump_into(socket, kind, Message(RTM_GETNEIGH, 0, proxied), out));
  }
  return out;
}

Result<void> make_objects(Netlink& socket, ObjectKind kind, const std::vector<Record>& wanted) {
  TRY_AS(const auto before, read_objects(socket, kind));
  for (const Record& r : before)
    if (superfluous(kind, r, before, wanted))
      if (auto gone = change(socket, verbs(kind).remove, 0, r);
          !gone && gone.error().sys_errno != EADDRNOTAVAIL && gone.error().sys_errno != ESRCH)
        return std::move(gone.error()).context(fmt::format("remove a {}", object_kind(kind).name));
  TRY_AS(const auto have, read_objects(socket, kind));
  std::vector<Record> missing;
  for (const Record& r : wanted)
    if (!is_among(kind, r, have)) missing.push_back(r);
  if (kind == ObjectKind::route)  // gateways are reached by the others
    std::stable_partition(missing.begin(), missing.end(), [](const Record& r) { return !through_gateway(r); });
  if (kind == ObjectKind::address)  // a device's IPv6 addresses are listed newest first
    std::reverse(std::stable_partition(missing.begin(), missing.end(), [](const Record& r) { return !is_v6(r); }),
                 missing.end());
  for (const Record& r : missing)
    TRY(add_one(socket, kind, r), "restore {} {}", object_kind(kind).name, to_hex(record_bytes(r)));
  return {};
}

}  // namespace vz::net
