#include <algorithm>
#include <set>

#include "base/strings.h"
#include "net/conntrack.h"
#include "net/knobs.h"
#include "net/net.h"
#include "net/netlink.h"
#include "net/netns.h"
#include "net/objects.h"
#include "net/state.h"
#include "net/sysctl.h"
#include "sys/files.h"

namespace vz::net {

namespace {

struct Role {
  std::string ct_name;
  int index = 0;  // of the CT's end, as the host's end tells it; 0: not known
};

// The guest may have renamed its devices, but not changed whose peers they are.
Result<std::vector<Role>> roles_of(const Plan& plan) {
  TRY_AS(Netlink here, Netlink::open());
  std::vector<Veth> veths = plan.veths;
  if (plan.routed) veths.push_back(plan.routed->veth);
  std::vector<Role> out;
  for (const Veth& v : veths) {
    const auto host_end = find_link(here, v.host_name);
    out.push_back({v.ct_name, host_end && host_end->lower_is_foreign ? host_end->lower : 0});
  }
  return out;
}

std::string role_of(const Link& l, const std::vector<Role>& roles) {
  if (l.loopback()) return "lo";
  for (const Role& r : roles)
    if (r.index == l.index || (r.index == 0 && r.ct_name == l.name)) return r.ct_name;
  return {};
}

// Every namespace gets these by itself when the modules are loaded.
bool is_fallback_tunnel(const Link& l) {
  static const std::set<std::string> kNames = {"tunl0",    "gre0", "gretap0", "erspan0", "ip_vti0",
                                               "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"};
  return kNames.count(l.name) && !l.up();
}

void sort_links(const std::vector<Link>& links, const std::vector<Role>& roles, State& s) {
  for (const Link& l : links) {
    const std::string role = role_of(l, roles);
    if (!role.empty() || can_be_made(l.kind))
      s.links.push_back({role, l});
    else if (!is_fallback_tunnel(l))
      s.unsupported.push_back(fmt::format("network device '{}' of kind '{}'", l.name, l.kind));
  }
}

// What this kernel does not have, or what is unset, is left out.
void read_sysctls(const std::vector<std::string>& names, State& s) {
  for (const std::string& name : names)
    if (auto value = read_sysctl(name)) s.sysctls.emplace(name, std::move(*value));
}

void read_all_sysctls(State& s) {
  read_sysctls(namespace_sysctls(), s);
  for (const SavedLink& l : s.links) {
    for (const DeviceKnob& k : device_knobs()) {
      const auto value = knob_value(l.link, k);
      const auto usual = s.sysctls.find(k.path("default"));
      if (value && usual != s.sysctls.end() && usual->second != std::to_string(*value))
        s.sysctls.emplace(k.path(l.link.name), std::to_string(*value));
    }
    if (!l.link.loopback()) read_sysctls(late_sysctls(l.link), s);
  }
}

void note_legacy_tables(State& s) {
  for (const char* list : {"ip_tables_names", "ip6_tables_names", "arp_tables_names"})
    if (const auto tables = sys::read_file(std::string("/proc/thread-self/net/") + list); tables && !tables->empty())
      s.unsupported.push_back(
          fmt::format("rules of the old iptables ({}: {})", list, replace_all(std::string(trim(*tables)), "\n", ", ")));
}

Result<void> read_all(Netlink& socket, State& s) {
  const struct {
    ObjectKind kind;
    std::vector<Record>& into;
  } lists[] = {{ObjectKind::address, s.addresses},
               {ObjectKind::route, s.routes},
               {ObjectKind::rule, s.rules},
               {ObjectKind::neighbour, s.neighbours}};
  std::set<int> devices = {0};
  for (const SavedLink& l : s.links) devices.insert(l.link.index);
  for (const auto& l : lists) {
    TRY_AS(l.into, read_objects(socket, l.kind));
    const auto on_lost_device = [&](const Record& r) { return !devices.count(device_of(l.kind, r)); };
    l.into.erase(std::remove_if(l.into.begin(), l.into.end(), on_lost_device), l.into.end());
  }
  return {};
}

}  // namespace

Result<std::string> save_state(const Plan& plan, int netns) {
  TRY_AS(const auto roles, roles_of(plan));
  TRY_AS([[maybe_unused]] const NetnsVisit visit, NetnsVisit::enter(netns));
  TRY_AS(Netlink socket, Netlink::open());
  TRY_AS(const auto links, list_links(socket));
  State s;
  sort_links(links, roles, s);
  read_all_sysctls(s);
  note_legacy_tables(s);
  TRY(read_all(socket, s), "save the network");
  if (auto firewall = Netlink::open(NETLINK_NETFILTER)) {
    TRY_AS(s.ruleset, read_ruleset(*firewall), "save the network");
  }
  return print_state(s);
}

Result<std::string> save_connections(int netns) {
  TRY_AS([[maybe_unused]] const NetnsVisit visit, NetnsVisit::enter(netns));
  if (!tracks_connections()) return print_connections({});
  TRY_AS(Netlink socket, Netlink::open(NETLINK_NETFILTER));
  TRY_AS(const auto connections, read_connections(socket));
  return print_connections(connections);
}

}  // namespace vz::net
