#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <set>

#include "net/conntrack.h"
#include "net/devices.h"
#include "net/knobs.h"
#include "net/net.h"
#include "net/netlink.h"
#include "net/objects.h"
#include "net/state.h"
#include "net/sysctl.h"
#include "sys/channel.h"
#include "sys/files.h"
#include "sys/namespaces.h"
#include "sys/process.h"

namespace vz::net {

namespace {

constexpr int kDone = 1;

// With the rights of the CT's own root, and no more: the state is foreign, and the firewall's owner match (-m owner) is
// refused to anybody else.
Result<void> become_guest(int netns) {
  const sys::UniqueFd owner{::ioctl(netns, NS_GET_USERNS)};
  if (!owner) return fail_sys(errno, "find the owner of the network namespace");
  TRY_AS(const sys::UniqueFd own, sys::open("/proc/self/ns/user", O_RDONLY));
  TRY_AS(const bool same, sys::same_ns(owner.get(), own.get()));
  return same ? Result<void>() : sys::enter_ns(owner.get(), CLONE_NEWUSER);
}

bool is_absent_here(const Error& e) {
  return e.sys_errno == ENOENT || e.sys_errno == EACCES || e.sys_errno == EPERM || e.sys_errno == EIO;
}

// What this kernel does not have, or does not let a guest change, is left.
Result<void> write_unless_absent(const std::string& name, const std::string& value) {
  auto written = write_sysctl(name, value);
  return !written && is_absent_here(written.error()) ? Result<void>() : written;
}

Result<void> write_sysctls(const State& s, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const auto wanted = s.sysctls.find(name);
    if (wanted == s.sysctls.end()) continue;
    const auto have = read_sysctl(name);
    if (!have || *have != wanted->second) TRY(write_unless_absent(name, wanted->second));
  }
  return {};
}

Result<void> write_device_sysctls(Netlink& socket, const State& s) {
  TRY_AS(const auto links, list_links(socket));
  for (const Link& l : links)
    for (const DeviceKnob& k : device_knobs()) {
      const auto have = knob_value(l, k);
      auto wanted = s.sysctls.find(k.path(l.name));
      if (wanted == s.sysctls.end()) wanted = s.sysctls.find(k.path("default"));
      if (have && wanted != s.sysctls.end() && wanted->second != std::to_string(*have))
        TRY(write_unless_absent(k.path(l.name), wanted->second));
    }
  return {};
}

// Otherwise a device that comes up forms its link-local address, and asks a second long whether it is a duplicate.
void hold_link_local(const State& s) {
  for (const SavedLink& l : s.links)
    if (!l.link.loopback()) (void)write_sysctl(fmt::format("ipv6/conf/{}/addr_gen_mode", l.link.name), "1");
}

Result<void> restore(int netns, Result<Netlink>& firewall, const State& s, const std::vector<Record>& connections) {
  TRY_AS(Netlink socket, Netlink::open());
  TRY(make_devices(socket, netns, s.links));
  TRY(write_sysctls(s, namespace_sysctls()));
  TRY(write_device_sysctls(socket, s));
  hold_link_local(s);
  // The firewall stands before the first device is up.
  if (!firewall && (!s.ruleset.empty() || !connections.empty())) return firewall.error();
  if (!s.ruleset.empty()) TRY(load_ruleset(*firewall, s.ruleset));
  // After the rules: the kernel keeps labels only where a rule uses them. Before the first packet, which would be taken
  // for the first of a connection.
  if (!connections.empty()) TRY(load_connections(*firewall, connections));
  TRY(switch_devices(socket, s.links));
  TRY(make_objects(socket, ObjectKind::address, s.addresses));
  for (const SavedLink& l : s.links) TRY(write_sysctls(s, late_sysctls(l.link)));
  TRY(make_objects(socket, ObjectKind::address, s.addresses));  // without what the kernel formed just now
  TRY(make_objects(socket, ObjectKind::route, s.routes));
  TRY(make_objects(socket, ObjectKind::rule, s.rules));
  return make_objects(socket, ObjectKind::neighbour, s.neighbours);
}

Result<void> check_roles(const State& s, const Plan& plan) {
  std::set<std::string> known = {"", "lo"};
  for (const Veth& v : plan.veths) known.insert(v.ct_name);
  if (plan.routed) known.insert(plan.routed->veth.ct_name);
  for (const SavedLink& l : s.links)
    if (!known.count(l.role))
      return fail(Code::invalid, "the saved network device '{}' is not in the container's configuration", l.role);
  return {};
}

Result<void> restore_as_guest(const Plan& plan, int netns, std::string_view text, std::string_view connections) {
  TRY(sys::enter_ns(netns, CLONE_NEWNET), "network namespace");
  auto firewall = Netlink::open(NETLINK_NETFILTER);  // a kernel may be without
  if (firewall) firewall->make_room();
  TRY(become_guest(netns));
  TRY_AS(const State s, parse_state(text));
  TRY(check_roles(s, plan));
  TRY_AS(const auto tracked, parse_connections(connections));
  return restore(netns, firewall, s, tracked);
}

}  // namespace

Result<void> restore_state(const Plan& plan, int netns, std::string_view state, std::string_view connections) {
  TRY_AS(sys::Channel::Pair pair, sys::Channel::make());
  TRY_AS(const sys::Forked child, sys::fork_process(), "restore the network");
  if (child.pid == 0) {
    const auto r = restore_as_guest(plan, netns, state, connections);
    (void)(r ? pair.child.post(kDone) : pair.child.post_error(r.error()));
    ::_exit(0);
  }
  pair.child.close();
  const auto answer = pair.parent.expect(kDone);
  TRY(sys::wait_child(child.pid));
  if (!answer) return Error(answer.error()).context("restore the network");
  return {};
}

Result<void> unlock(int netns) {
  TRY_AS(Netlink socket, Netlink::open_in(netns, NETLINK_NETFILTER));
  return remove_locks(socket);
}

}  // namespace vz::net
