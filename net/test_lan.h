// Machines in network namespaces that a case makes for itself and that vanish with their descriptors: nothing of the
// machine's own network is touched. Without the rights for that, cases say so and pass.
#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <iostream>
#include <string>
#include <vector>

#include "base/strings.h"
#include "net/net.h"
#include "net/netns.h"
#include "sys/channel.h"
#include "sys/namespaces.h"
#include "sys/process.h"
#include "tests/catch.h"

namespace vz::test {

using net::NetnsVisit;
using Clock = std::chrono::steady_clock;

inline double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A new network namespace owned by the user namespace USER_NS (-1: ours).
inline Result<sys::UniqueFd> make_netns(int user_ns = -1) {
  TRY_AS(sys::Channel::Pair pair, sys::Channel::make());
  TRY_AS(const sys::Forked child, sys::fork_process());
  if (child.pid == 0) {
    const bool ok = (user_ns < 0 || ::setns(user_ns, CLONE_NEWUSER) == 0) && ::unshare(CLONE_NEWNET) == 0;
    const int fd = ok ? ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC) : -1;
    (void)(fd >= 0 ? pair.child.post(1, {&fd, 1}) : pair.child.post_error(fail_sys(errno, "make a network namespace")));
    ::_exit(0);
  }
  pair.child.close();
  auto fd = pair.parent.expect_fd(1);
  (void)sys::wait_child(child.pid);
  return fd;
}

inline bool can_run() {
  const auto ns = make_netns();
  sys::Program version;
  version.argv = {"ip", "-V"};
  if (ns && sys::run(version)) return true;
  std::cerr << "live network tests skipped: " << (ns ? "no 'ip' program" : ns.error().text) << "\n";
  return false;
}

#define NEED_NAMESPACES \
  if (!can_run()) return

// A command line without quoting, inside NS. Its output, or "FAILED ...".
inline std::string in(const sys::UniqueFd& ns, const std::string& line) {
  sys::Program p;
  for (const auto word : words(line)) p.argv.emplace_back(word);
  p.before_exec = [&ns] { return sys::enter_ns(ns.get(), CLONE_NEWNET); };
  p.timeout = std::chrono::seconds(20);
  const auto out = sys::run(p);
  if (!out) return "FAILED " + out.error().text;
  return out->status.ok() ? out->out : "FAILED " + line + ": " + out->out + out->err;
}

#define OK_IN(ns, line) CHECK_THAT(in(ns, line), !Catch::Matchers::StartsWith("FAILED"))

inline bool pings(const sys::UniqueFd& ns, const std::string& address) {
  return in(ns, "ping -n -c 1 -W 2 " + address).compare(0, 6, "FAILED") != 0;
}

template <class T>
bool ok(const Result<T>& r) {
  if (!r) UNSCOPED_INFO(r.error().text);
  return static_cast<bool>(r);
}

inline sys::UniqueFd netns(int user_ns = -1) {
  auto ns = make_netns(user_ns);
  REQUIRE(ok(ns));
  OK_IN(*ns, "ip link set lo up");
  return std::move(*ns);
}

// Machines on one Ethernet segment: "eth0" in each, addresses 10.1.0.N and fd01::N.
struct Lan {
  sys::UniqueFd wire = netns();
  std::vector<sys::UniqueFd> machines;

  explicit Lan(int count) {
    OK_IN(wire, "ip link add lan up type bridge forward_delay 0 mcast_snooping 0");
    const NetnsVisit visit = std::move(*NetnsVisit::enter(wire.get()));
    for (int i = 1; i <= count; ++i) {
      machines.push_back(netns());
      OK_IN(machines.back(), "sysctl -qw net.ipv6.conf.default.accept_dad=0");
      const net::Veth v{fmt::format("port{}", i), "eth0", fmt::format("FE:00:00:00:00:{:02X}", i),
                        fmt::format("02:00:00:00:00:{:02X}", i), "lan"};
      REQUIRE(ok(net::add_veth(v, machines.back().get(), true)));
      OK_IN(machines.back(), fmt::format("ip addr add 10.1.0.{}/24 dev eth0", i));
      OK_IN(machines.back(), fmt::format("ip addr add fd01::{}/64 dev eth0 nodad", i));
      OK_IN(machines.back(), "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
    }
  }
};

inline config::CtSpec bridged(const std::string& bridge) {
  config::CtSpec s;
  s.netif = {{config::NetIf{"eth0", "", "", "", bridge, {}}}};
  return s;
}

inline config::CtSpec routed() {
  config::CtSpec s;
  s.ip_address = {{config::IpAddress{"10.1.0.101", {}, false}, config::IpAddress{"fd01::101", 64, true}}};
  return s;
}

}  // namespace vz::test
