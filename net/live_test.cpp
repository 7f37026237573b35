// Against the running kernel, in network namespaces that each case makes for itself and that vanish with their
// descriptors: nothing of the machine's own network is touched. Without the rights for that, the cases say so and pass.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <iostream>
#include <regex>
#include <set>

#include "net/conntrack.h"
#include "net/net.h"
#include "net/netns.h"
#include "net/state.h"
#include "net/test_lan.h"
#include "sys/namespaces.h"
#include "sys/process.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::test;

TEST_CASE("live: a bridged pair carries IPv4 and IPv6") {
  NEED_NAMESPACES;
  const auto host = netns(), ct = netns();
  const auto visit = NetnsVisit::enter(host.get());
  OK_IN(host, "ip link add br0 up type bridge forward_delay 0");
  OK_IN(host, "ip addr add 10.2.0.1/24 dev br0");
  OK_IN(host, "ip addr add fd02::1/64 dev br0 nodad");
  const net::Veth v = net::plan(101, bridged("br0")).veths.at(0);
  REQUIRE(ok(net::loopback_up(ct.get())));
  const auto start = Clock::now();
  REQUIRE(ok(net::add_veth(v, ct.get(), true)));
  WARN("add_veth, bridged: " << ms_since(start) << " ms");
  OK_IN(ct, "ip addr add 10.2.0.101/24 dev eth0");
  OK_IN(ct, "ip addr add fd02::101/64 dev eth0 nodad");
  CHECK(pings(ct, "10.2.0.1"));
  CHECK(pings(ct, "fd02::1"));
  CHECK(pings(ct, "127.0.0.1"));
  CHECK(in(host, "ip -br addr show dev veth101.0").find("fe80") == std::string::npos);
  CHECK(in(ct, "ip -br link show dev eth0").find("00:18:51:00:06:51") != std::string::npos);
  CHECK(*net::addresses(ct.get()) == std::vector<std::string>{"10.2.0.101", "fd02::101"});

  const auto again = net::add_veth(v, ct.get(), true);
  REQUIRE(!again);
  CHECK(again.error().code == Code::exists);
  REQUIRE(ok(net::set_master(v.host_name, "")));
  CHECK(!pings(ct, "10.2.0.1"));
  REQUIRE(ok(net::set_master(v.host_name, "br0")));
  CHECK(pings(ct, "10.2.0.1"));
  CHECK(ok(net::announce(net::plan(101, bridged("br0")), ct.get())));
  REQUIRE(ok(net::remove_link(v.host_name)));
  REQUIRE(ok(net::remove_link(v.host_name)));
  CHECK(!net::link_exists(v.host_name));
  CHECK(in(ct, "ip -br link").find("eth0") == std::string::npos);
}

TEST_CASE("live: what is wrong with a bridged pair is said") {
  NEED_NAMESPACES;
  const auto host = netns(), ct = netns();
  const auto visit = NetnsVisit::enter(host.get());
  const auto missing = net::add_veth(net::plan(101, bridged("br7")).veths.at(0), ct.get(), true);
  REQUIRE(!missing);
  CHECK(missing.error().code == Code::not_found);
  CHECK(missing.error().text == "network device 'eth0': bridge 'br7' does not exist; make it, or choose another one");
  const auto wrong = net::add_veth(net::plan(101, bridged("lo")).veths.at(0), ct.get(), true);
  REQUIRE(!wrong);
  CHECK(wrong.error().code == Code::invalid);
  CHECK(!net::link_exists("veth101.0"));
  net::Veth v = net::plan(101, bridged("")).veths.at(0);
  v.ct_name = "../x";
  CHECK(!net::add_veth(v, ct.get(), true));
  REQUIRE(ok(net::add_veth(net::plan(101, bridged("")).veths.at(0), ct.get(), true)));
  CHECK(in(host, "ip -br addr show dev veth101.0").find("fe80") == std::string::npos);
  net::Veth other = net::plan(102, bridged("")).veths.at(0);
  const auto taken = net::add_veth(other, ct.get(), true);
  REQUIRE(!taken);
  CHECK(taken.error().text.find("'eth0' is taken in the container") != std::string::npos);
}

TEST_CASE("live: routed addresses reach the world, and leave no trace") {
  NEED_NAMESPACES;
  Lan lan(2);
  const auto &host = lan.machines[0], &client = lan.machines[1];
  const auto ct = netns();
  const auto visit = NetnsVisit::enter(host.get());
  const std::string before = in(host, "ip route") + in(host, "ip -6 route") + in(host, "ip neigh show proxy") +
                             in(host, "ip -6 neigh show proxy");
  const net::Plan plan = net::plan(101, routed());
  auto start = Clock::now();
  REQUIRE(ok(net::add_routed(*plan.routed, ct.get())));
  WARN("add_routed, 1 + 1 addresses: " << ms_since(start) << " ms");
  const std::string state = in(host, "ip route") + in(host, "ip -6 route") + in(host, "ip neigh show proxy") +
                            in(host, "ip addr") + in(ct, "ip addr") + in(ct, "ip route") + in(ct, "ip -6 route") +
                            in(ct, "ip neigh");
  UNSCOPED_INFO(state);
  CHECK(pings(ct, "10.1.0.2"));
  CHECK(pings(ct, "fd01::2"));
  CHECK(pings(client, "10.1.0.101"));
  CHECK(pings(client, "fd01::101"));
  CHECK(pings(host, "10.1.0.101"));
  CHECK(pings(host, "fd01::101"));
  const std::string once =
      in(host, "ip route") + in(host, "ip neigh show proxy") + in(ct, "ip addr") + in(ct, "ip route");
  REQUIRE(ok(net::add_routed(*plan.routed, ct.get())));
  CHECK(in(host, "ip route") + in(host, "ip neigh show proxy") + in(ct, "ip addr") + in(ct, "ip route") == once);
  CHECK(in(host, "ip -br addr show dev vnet.101").find("fe80") == std::string::npos);

  SECTION("addresses come and go") {
    const config::IpAddress more{"10.1.0.55", {}, false};
    REQUIRE(ok(net::add_address(*plan.routed, more, ct.get())));
    CHECK(pings(client, "10.1.0.55"));
    REQUIRE(ok(net::remove_address(*plan.routed, more, ct.get())));
    REQUIRE(ok(net::remove_address(*plan.routed, more, ct.get())));
    CHECK(!pings(client, "10.1.0.55"));
    CHECK(pings(client, "10.1.0.101"));
    for (const auto& a : plan.routed->addresses) REQUIRE(ok(net::remove_address(*plan.routed, a, ct.get())));
    CHECK(in(ct, "ip route") == "");
    CHECK(in(ct, "ip -6 route show default") == "");
    CHECK(in(ct, "ip neigh show nud permanent") == "");
  }
  SECTION("a forged source goes nowhere") {
    OK_IN(ct, "ip addr add 10.1.0.77/32 dev venet0");
    CHECK(in(ct, "ping -n -c 1 -W 1 -I 10.1.0.77 10.1.0.2").compare(0, 6, "FAILED") == 0);
  }
  SECTION("without forwarding on the uplink nobody is answered, and nothing is changed about it") {
    OK_IN(host, "sysctl -qw net.ipv4.conf.eth0.forwarding=0 net.ipv6.conf.all.forwarding=0");
    OK_IN(client, "ip neigh flush dev eth0");
    REQUIRE(ok(net::publish(*plan.routed)));
    CHECK(in(host, "sysctl -n net.ipv4.conf.eth0.forwarding net.ipv6.conf.all.forwarding") == "0\n0\n");
    CHECK(!pings(client, "10.1.0.101"));
    CHECK(!pings(client, "fd01::101"));
  }
  SECTION("an address that is in use is noticed") {
    const config::IpAddress a = plan.routed->addresses[0], a6 = plan.routed->addresses[1];
    CHECK(*net::address_in_use(a, "vnet.102"));
    CHECK(!*net::address_in_use(a, "vnet.101"));
    CHECK(*net::address_in_use({"10.1.0.1", {}, false}, ""));
    CHECK(*net::address_in_use({"10.1.0.2", {}, false}, ""));
    CHECK(!*net::address_in_use({"10.1.0.200", {}, false}, ""));
    CHECK(*net::address_in_use({"fd01::2", {}, true}, ""));
    CHECK(!*net::address_in_use({"fd01::200", {}, true}, ""));
    const auto back = NetnsVisit::enter(client.get());
    CHECK(*net::address_in_use(a, ""));
    CHECK(*net::address_in_use(a6, ""));
    const net::Plan thief = net::plan(102, routed());
    const auto back_again = NetnsVisit::enter(host.get());
    const auto other_ct = netns();
    const auto r = net::add_routed(*thief.routed, other_ct.get());
    REQUIRE(!r);
    CHECK(r.error().code == Code::address_in_use);
    REQUIRE(ok(net::remove_link("vnet.102")));
  }
  start = Clock::now();
  REQUIRE(ok(net::withdraw(*plan.routed)));
  WARN("withdraw: " << ms_since(start) << " ms");
  CHECK(!pings(client, "10.1.0.101"));
  start = Clock::now();
  REQUIRE(ok(net::remove_link(plan.routed->veth.host_name)));
  WARN("remove_link: " << ms_since(start) << " ms");
  REQUIRE(ok(net::withdraw(*plan.routed)));
  CHECK(in(host, "ip route") + in(host, "ip -6 route") + in(host, "ip neigh show proxy") +
            in(host, "ip -6 neigh show proxy") ==
        before);
}

TEST_CASE("live: a routed address moves to another host while a client goes on") {
  NEED_NAMESPACES;
  Lan lan(3);
  const auto &a = lan.machines[0], &b = lan.machines[1], &client = lan.machines[2];
  const auto ct_a = netns(), ct_b = netns();
  const net::Plan plan = net::plan(101, routed());
  Result<std::string> state = std::string();
  {
    const auto visit = NetnsVisit::enter(a.get());
    REQUIRE(ok(net::add_routed(*plan.routed, ct_a.get())));
    CHECK(pings(client, "10.1.0.101"));
    CHECK(pings(client, "fd01::101"));
    state = net::save_state(plan, ct_a.get());
    REQUIRE(ok(state));
    REQUIRE(ok(net::withdraw(*plan.routed)));
  }
  const auto visit = NetnsVisit::enter(b.get());
  REQUIRE(ok(net::add_veth(plan.routed->veth, ct_b.get(), false)));
  REQUIRE(ok(net::restore_state(plan, ct_b.get(), *state)));
  const auto start = Clock::now();
  REQUIRE(ok(net::publish(*plan.routed)));
  const double added = ms_since(start);
  REQUIRE(ok(net::announce(plan, ct_b.get())));
  WARN("publish: " << added << " ms, announce: " << ms_since(start) - added << " ms");
  const auto moved = Clock::now();
  CHECK(pings(client, "10.1.0.101"));
  CHECK(pings(client, "fd01::101"));
  CHECK(ms_since(moved) < 500);  // both answered at once: no time-out of a stale neighbour entry in between
  CHECK(in(client, "ip neigh show 10.1.0.101").find("02:00:00:00:00:02") != std::string::npos);
  CHECK(in(client, "ip neigh show fd01::101").find("02:00:00:00:00:02") != std::string::npos);
}

namespace {

// The state of a namespace as its administrator sees it. Counters of devices are left out, those of firewall rules are
// not.
std::string view(const sys::UniqueFd& ns) {
  std::string out;
  // In these the order is a hash table's, or that in which the devices came up.
  for (const char* line : {"ip route show table all", "ip neigh show nud permanent", "ip neigh show proxy"}) {
    const std::string text = in(ns, line);
    const auto lines = split(text, '\n');
    for (const auto r : std::set<std::string_view>(lines.begin(), lines.end())) out += std::string(r) + "\n";
  }
  for (const char* line :
       {"ip -d link", "ip addr", "ip rule", "ip -6 rule", "nft list ruleset", "iptables-nft-save -c",
        "sysctl net.ipv4.ip_local_reserved_ports net.ipv4.conf.eth0.rp_filter net.ipv4.conf.all.forwarding "
        "net.ipv4.conf.eth0.forwarding net.ipv6.conf.eth0.accept_ra net.ipv6.conf.eth0.addr_gen_mode "
        "net.ipv6.conf.all.forwarding net.ipv6.conf.lan.addr_gen_mode"})
    out += std::string("# ") + line + "\n" + in(ns, line);
  // Dates, timers, the other end's number, and what a bridge without ports thinks of its carrier.
  static const std::regex kNoise(
      "multicast ff00::/8 dev mybr.*\n|# (Generated|Completed).*|@if[0-9]+|NO-CARRIER,|state (DOWN|UNKNOWN)| linkdown|"
      "expires [0-9a-z]+ *|(bridge_id|designated_root) [0-9a-f.:]+|(hello|tcn|gc|topology_change)_timer +[0-9.]+|"
      "_lft [0-9]+sec");
  return std::regex_replace(out, kNoise, "");
}

void check_same(const std::string& a, const std::string& b) {
  const auto x = split(a, '\n'), y = split(b, '\n');
  for (size_t i = 0; i < std::max(x.size(), y.size()); ++i)
    CHECK((i < x.size() ? x[i] : "-") == (i < y.size() ? y[i] : "-"));
}

constexpr const char* kFirewall = R"(
table inet t {
  set s { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 192.168.0.1-192.168.0.9 }
  }
  set d { type ipv4_addr; flags dynamic,timeout; timeout 1h; elements = { 1.2.3.4 }
  }
  set cc { typeof ip saddr . tcp dport; counter; elements = { 1.1.1.1 . 80 counter packets 5 bytes 50 }
  }
  counter c1 { packets 7 bytes 700
  }
  quota q1 { 10 mbytes used 5 kbytes
  }
  chain other { counter packets 1 bytes 2 return
  }
  map m { type inet_service : verdict; elements = { 22 : accept, 23 : jump other }
  }
  chain input { comment "hello"
    type filter hook input priority filter; policy accept;
    iif lo accept
    iif eth0 tcp dport 1 counter packets 3 bytes 1
    ct state established,related accept
    tcp dport { 22, 80, 443 } counter packets 11 bytes 1100 accept comment "web"
    tcp dport vmap @m
    ip saddr @s counter name c1 accept
    ip protocol icmp jump { counter packets 3 bytes 4
       ip ttl 5 accept
       icmp type echo-request limit rate 5/second accept
    }
    udp dport 5000-6000 meter mm { ip saddr limit rate 10/second } accept
    ip saddr vmap { 3.3.3.3 : drop, 4.4.4.4 : goto other }
  }
  chain nat { type nat hook postrouting priority 100; masquerade
  }
}
table bridge b { chain c { type filter hook input priority 0;
  }
}
table netdev n { chain c { type filter hook ingress device eth0 priority 0;
  }
}
)";

// A host, in whose network we are meanwhile, and a container's before and after.
struct Move {
  sys::UniqueFd host = netns(), user_ns = guest_user_ns(), ct = netns(user_ns.get()), fresh = netns(user_ns.get());
  Result<NetnsVisit> visit = NetnsVisit::enter(host.get());

  static sys::UniqueFd guest_user_ns() {
    auto made = sys::make_user_ns({1000000, 65536});
    REQUIRE(ok(made));
    return std::move(*made);
  }
};

void load_firewall(const sys::UniqueFd& ns, const char* text) {
  sys::Program p;
  p.argv = {"nft", "-f", "-"};
  p.input = text;
  p.before_exec = [&ns] { return sys::enter_ns(ns.get(), CLONE_NEWNET); };
  REQUIRE(ok(sys::run_ok(p)));
}

}  // namespace

TEST_CASE("live: what a guest made of its network comes back as it was") {
  NEED_NAMESPACES;
  const Move move;
  const auto &host = move.host, &ct = move.ct, &fresh = move.fresh;
  OK_IN(host, "ip link add br0 up type bridge forward_delay 0");
  OK_IN(host, "ip addr add 10.2.0.1/24 dev br0");
  OK_IN(host, "ip addr add fd02::1/64 dev br0 nodad");
  config::CtSpec spec = bridged("br0");
  spec.netif->push_back({"eth1", "", "", "", "", {}});
  spec.ip_address = {{config::IpAddress{"10.1.0.101", {}, false}, config::IpAddress{"fd01::101", 64, true}}};
  const net::Plan plan = net::plan(101, spec);
  for (const auto& v : plan.veths) REQUIRE(ok(net::add_veth(v, ct.get(), true)));
  REQUIRE(ok(net::add_routed(*plan.routed, ct.get())));
  for (const char* line :
       {"ip link set eth1 down",
        "ip link set eth1 name lan",
        "ip link set lan address 02:11:22:33:44:55 mtu 1400 txqueuelen 77 alias my_lan up",
        "ip addr add 10.2.0.101/24 brd + dev eth0",
        "ip addr add 10.2.0.102/24 dev eth0",
        "ip addr add 10.2.0.103/24 dev eth0 label eth0:x valid_lft 1000 preferred_lft 900",
        "ip addr add 172.16.0.1 peer 172.16.0.2 dev lan",
        "ip addr add fd02::101/64 dev eth0 nodad",
        "ip addr add fd02::102/64 dev eth0 preferred_lft 0",
        "ip addr add 10.9.9.9/32 dev lo",
        "ip route add 10.50.0.0/16 via 10.2.0.1 metric 50 mtu 1300",
        "ip route add default via 10.2.0.1 table 100",
        "ip route add 10.60.0.0/16 nexthop via 10.2.0.1 weight 2 nexthop dev lan weight 3",
        "ip route add blackhole 10.70.0.0/16",
        "ip route add 10.80.0.0/16 via inet6 fd02::1 dev eth0",
        "ip -6 route add fd50::/16 via fd02::1 dev eth0 expires 500",
        "ip -6 route add unreachable fd60::/16",
        "ip rule add from 10.2.0.102 lookup 100 priority 77",
        "ip rule add fwmark 5/7 lookup 100 priority 78",
        "ip -6 rule add iif eth0 lookup 100 priority 79",
        "ip neigh add 10.2.0.77 lladdr 02:00:00:00:00:77 dev eth0 nud permanent",
        "ip neigh add proxy 10.2.0.78 dev eth0",
        "ip link add mybr type bridge stp_state 1",
        "ip link set mybr up",
        "ip addr add 10.77.0.1/24 dev mybr",
        "sysctl -qw net.ipv4.ip_local_reserved_ports=5000-5010 net.ipv4.conf.eth0.rp_filter=2 "
        "net.ipv6.conf.eth0.accept_ra=0",
        "sysctl -qw net.ipv4.conf.all.forwarding=1 net.ipv4.conf.eth0.forwarding=0 net.ipv6.conf.lan.addr_gen_mode=1"})
    OK_IN(ct, line);
  load_firewall(ct, kFirewall);
  const bool iptables = in(ct, "iptables-nft -V").compare(0, 6, "FAILED") != 0;
  if (iptables)
    for (const char* rule :
         {"-A INPUT -p tcp -m multiport --dports 25,587 -m comment --comment mail -j ACCEPT",
          "-A INPUT ! -p tcp -m conntrack --ctstate INVALID -j DROP",
          "-A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
          "-t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.5:80",
          "-A INPUT -p tcp --dport 22 -m hashlimit --hashlimit-above 3/min --hashlimit-name x -j DROP"})
      OK_IN(ct, std::string("iptables-nft ") + rule);
  ::usleep(2'500'000);  // duplicate detection ends
  auto start = Clock::now();
  const auto state = net::save_state(plan, ct.get());
  REQUIRE(ok(state));
  WARN("save_state: " << ms_since(start) << " ms, " << state->size() << " bytes");
  const std::string before = view(ct);
  for (const auto& v : plan.veths) REQUIRE(ok(net::remove_link(v.host_name)));
  REQUIRE(ok(net::withdraw(*plan.routed)));
  REQUIRE(ok(net::remove_link("vnet.101")));

  for (const auto& v : plan.veths) REQUIRE(ok(net::add_veth(v, fresh.get(), false)));
  REQUIRE(ok(net::add_veth(plan.routed->veth, fresh.get(), true)));
  start = Clock::now();
  REQUIRE(ok(net::restore_state(plan, fresh.get(), *state)));
  WARN("restore_state: " << ms_since(start) << " ms");
  CHECK(pings(fresh, "fd02::1"));
  check_same(before, view(fresh));
}

TEST_CASE("live: a plain container's network is restored quickly") {
  NEED_NAMESPACES;
  const Move move;
  const auto &host = move.host, &ct = move.ct, &fresh = move.fresh;
  OK_IN(host, "ip link add br0 up type bridge forward_delay 0");
  const net::Plan plan = net::plan(101, bridged("br0"));
  REQUIRE(ok(net::add_veth(plan.veths[0], ct.get(), true)));
  OK_IN(ct, "ip addr add 10.2.0.101/24 dev eth0");
  OK_IN(ct, "ip route add default via 10.2.0.1");
  auto start = Clock::now();
  const auto state = net::save_state(plan, ct.get());
  REQUIRE(ok(state));
  WARN("save_state: " << ms_since(start) << " ms, " << state->size() << " bytes");
  REQUIRE(ok(net::remove_link("veth101.0")));
  SECTION("in the usual case") { REQUIRE(ok(net::add_veth(plan.veths[0], fresh.get(), false))); }
  SECTION("with another device number at first") {
    OK_IN(fresh, "ip link add other index 33 type bridge");
    REQUIRE(ok(net::add_veth(plan.veths[0], fresh.get(), false)));
    CHECK(in(fresh, "ip link show eth0").compare(0, 3, "33:") != 0);
    OK_IN(fresh, "ip link del other");
  }
  start = Clock::now();
  REQUIRE(ok(net::restore_state(plan, fresh.get(), *state)));
  WARN("restore_state: " << ms_since(start) << " ms");
  CHECK(in(fresh, "ip route").find("default via 10.2.0.1") == 0);
  CHECK(in(fresh, "ip link show eth0").compare(0, 3, "33:") == 0);
  REQUIRE(ok(net::restore_state(plan, fresh.get(), *state)));
}

namespace {

constexpr size_t kManyElements = 50000;

std::string large_set() {
  std::string rules = "flush ruleset; add table ip t; add set ip t s { type ipv4_addr; }\n";
  for (size_t i = 0; i < kManyElements; i += 1000) {
    rules += "add element ip t s { ";
    for (size_t k = i; k < i + 1000; ++k) rules += fmt::format("10.{}.{}.1, ", k / 256, k % 256);
    rules += "}\n";
  }
  return rules;
}

size_t elements_saved(const sys::UniqueFd& ns) {
  const auto text = net::save_state(net::plan(101, {}), ns.get());
  REQUIRE(ok(text));
  const auto state = net::parse_state(*text);
  REQUIRE(ok(state));
  constexpr uint16_t kList = 3;  // NFTA_SET_ELEM_LIST_ELEMENTS
  std::set<std::string> elements;
  for (const net::Record& r : state->ruleset[net::RulesetPart::elements]) {
    const auto list = net::parse_nested(*r.find(kList));
    REQUIRE(ok(list));
    for (const auto& element : list->attributes) elements.insert(element.data);
  }
  return elements.size();
}

}  // namespace

TEST_CASE("live: a set larger than a guest could load at once comes back whole") {
  NEED_NAMESPACES;
  const Move move;
  const auto &ct = move.ct, &fresh = move.fresh;
  load_firewall(ct, large_set().c_str());
  const net::Plan plan = net::plan(101, {});
  const auto state = net::save_state(plan, ct.get());
  REQUIRE(ok(state));
  REQUIRE(ok(net::restore_state(plan, fresh.get(), *state)));
  CHECK(elements_saved(fresh) == kManyElements);
}

TEST_CASE("live: a set is saved whole while its table still grows") {
  NEED_NAMESPACES;
  const auto ns = netns();
  const std::string rules = large_set();
  for (int i = 0; i < 4; ++i) {
    load_firewall(ns, rules.c_str());
    CHECK(elements_saved(ns) == kManyElements);
  }
}

TEST_CASE("live: a foreign state does no harm") {
  NEED_NAMESPACES;
  const auto host = netns(), ct = netns();
  const auto visit = NetnsVisit::enter(host.get());
  const net::Plan plan = net::plan(101, bridged(""));
  REQUIRE(ok(net::add_veth(plan.veths[0], ct.get(), true)));
  const auto good = net::save_state(plan, ct.get());
  REQUIRE(ok(good));
  for (const std::string& bad :
       {std::string(), std::string("[]"), std::string("{}"), good->substr(0, good->size() / 2),
        replace_all(*good, "\"version\":1", "\"version\":{}"), replace_all(*good, "eth0", "eth7"),
        replace_all(*good, "\"name\":\"eth0\"", "\"name\":\"../x\"")}) {
    const auto r = net::restore_state(plan, ct.get(), bad);
    REQUIRE(!r);
    CHECK(r.error().code == Code::invalid);
  }
  for (const std::string& bad : {std::string("x"), std::string("connections 1 little\nxx\n")})
    CHECK(net::restore_state(plan, ct.get(), *good, bad).error().code == Code::invalid);
  CHECK(ok(net::restore_state(plan, ct.get(), *good)));
}

namespace {

// A TCP connection from a socket in CLIENT to ADDRESS and PORT, which a socket in SERVER takes.
struct Talk {
  sys::UniqueFd client, server;

  bool goes_on() const {
    char byte = 'x';
    return ::send(client.get(), &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(server.get(), &byte, 1, 0) == 1 &&
           ::send(server.get(), &byte, 1, MSG_NOSIGNAL) == 1 && ::recv(client.get(), &byte, 1, 0) == 1;
  }
};

sockaddr_in6 socket_address(const std::string& address, uint16_t port) {
  sockaddr_in6 a{};
  a.sin6_family = AF_INET6;
  a.sin6_port = htons(port);
  const std::string text = address.find(':') == std::string::npos ? "::ffff:" + address : address;
  REQUIRE(::inet_pton(AF_INET6, text.c_str(), &a.sin6_addr) == 1);
  return a;
}

sys::UniqueFd socket_in(const sys::UniqueFd& ns, const sockaddr_in6& local) {
  const auto visit = NetnsVisit::enter(ns.get());
  sys::UniqueFd fd(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval patience{2, 0};
  const int on = 1;
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  REQUIRE(::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof local) == 0);
  return fd;
}

Talk talk(const sys::UniqueFd& client, const std::string& address, uint16_t port, const sys::UniqueFd& listener,
          uint16_t client_port = 0) {
  Talk t{socket_in(client, socket_address("::", client_port)), sys::UniqueFd()};
  const sockaddr_in6 to = socket_address(address, port);
  REQUIRE(::connect(t.client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
  t.server = sys::UniqueFd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  REQUIRE(t.server);
  const timeval patience{2, 0};
  REQUIRE(::setsockopt(t.server.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  REQUIRE(t.goes_on());
  return t;
}

// A container between a client and a server, each on a bridge of its own, with a user namespace of its own.
struct Router {
  sys::UniqueFd host = netns(), client = netns(), server = netns(), user_ns, ct, listener;
  net::Plan plan;

  Router() {
    auto made = sys::make_user_ns({1000000, 65536});
    REQUIRE(ok(made));
    user_ns = std::move(*made);
    ct = netns(user_ns.get());
    for (const auto* ns : {&ct, &client, &server}) OK_IN(*ns, "sysctl -qw net.ipv6.conf.default.accept_dad=0");
    for (const char* line : {"ip link add br0 up type bridge forward_delay 0 mcast_snooping 0",
                             "ip link add br1 up type bridge forward_delay 0 mcast_snooping 0"})
      OK_IN(host, line);
    config::CtSpec spec = bridged("br0");
    spec.netif->push_back({"eth1", "", "", "", "br1", {}});
    plan = net::plan(101, spec);
    const NetnsVisit visit = std::move(*NetnsVisit::enter(host.get()));
    attach(ct);
    end(client, "client", "br0", "2");
    end(server, "server", "br1", "3");
    for (const char* line : {"ip addr add 10.2.0.1/24 dev eth0", "ip addr add fd02::1/64 dev eth0 nodad",
                             "ip addr add 10.3.0.1/24 dev eth1", "ip addr add fd03::1/64 dev eth1 nodad",
                             "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"})
      OK_IN(ct, line);
    for (const char* line : {"ip route add 10.3.0.0/24 via 10.2.0.1", "ip route add fd03::/64 via fd02::1"})
      OK_IN(client, line);
    listener = socket_in(server, socket_address("::", 7));
    REQUIRE(::listen(listener.get(), 8) == 0);
  }

  void attach(const sys::UniqueFd& to) const {
    for (const auto& v : plan.veths) REQUIRE(ok(net::add_veth(v, to.get(), true)));
  }
  // Another namespace in the place of the container's.
  sys::UniqueFd replace() const {
    sys::UniqueFd fresh = netns(user_ns.get());
    for (const auto& v : plan.veths) REQUIRE(ok(net::remove_link(v.host_name)));
    attach(fresh);
    return fresh;
  }

 private:
  static void end(const sys::UniqueFd& ns, const std::string& name, const std::string& bridge, const char* number) {
    const std::string mac = fmt::format("00:00:00:00:0{}", number);
    REQUIRE(ok(net::add_veth({name, "eth0", "FE:" + mac, "02:" + mac, bridge}, ns.get(), true)));
    OK_IN(ns, fmt::format("ip addr add 10.{}.0.9/24 dev eth0", number));
    OK_IN(ns, fmt::format("ip addr add fd0{}::9/64 dev eth0 nodad", number));
  }
};

constexpr const char* kStrict = R"(
table inet strict {
  ct helper ftp { type "ftp" protocol tcp;
  }
  chain helped { type filter hook prerouting priority 0;
    tcp dport 7 ct helper set "ftp"
  }
  chain forward { type filter hook forward priority 0; policy drop;
    ct state established accept
    ct state new ct mark set 0x77 accept
  }
  chain before { type nat hook prerouting priority -100;
    iifname eth0 meta nfproto ipv4 tcp dport 8080 dnat ip to 10.3.0.9:7
    iifname eth0 meta nfproto ipv6 tcp dport 8080 dnat ip6 to [fd03::9]:7
  }
  chain after { type nat hook postrouting priority 100;
    oifname eth1 meta l4proto tcp masquerade to :20000-30000
  }
}
)";

// What the firewall of NS tracks, without what changes by itself.
std::string tracked(const sys::UniqueFd& ns) {
  const auto text = net::save_connections(ns.get());
  REQUIRE(ok(text));
  auto all = net::parse_connections(*text);
  REQUIRE(ok(all));
  std::set<std::string> lines;
  for (net::Record& r : *all) {
    for (const uint16_t type : {CTA_TIMEOUT, CTA_PROTOINFO}) r.erase(type);
    r.set(CTA_STATUS, net::be32(ntohl(r.u32(CTA_STATUS)) &
                                (IPS_SEEN_REPLY | IPS_ASSURED | IPS_CONFIRMED | IPS_SRC_NAT | IPS_DST_NAT)));
    std::sort(r.attributes.begin(), r.attributes.end(), [](const auto& a, const auto& b) { return a.type < b.type; });
    lines.insert(net::to_hex(net::record_bytes(r)));
  }
  return join({lines.begin(), lines.end()}, "\n");
}

}  // namespace

TEST_CASE("live: connections that a guest's firewall tracks and translates go on") {
  NEED_NAMESPACES;
  const Router router;
  const auto visit = NetnsVisit::enter(router.host.get());
  load_firewall(router.ct, kStrict);
  OK_IN(router.ct, "sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0");
  std::vector<Talk> talks;
  talks.push_back(talk(router.client, "10.3.0.9", 7, router.listener));
  talks.push_back(talk(router.client, "10.2.0.1", 8080, router.listener));
  talks.push_back(talk(router.client, "fd03::9", 7, router.listener));
  talks.push_back(talk(router.client, "fd02::1", 8080, router.listener));
  const auto state = net::save_state(router.plan, router.ct.get());
  const auto connections = net::save_connections(router.ct.get());
  REQUIRE(ok(state));
  REQUIRE(ok(connections));
  const std::string before = tracked(router.ct);
  CHECK(split(before, '\n').size() == talks.size());
  CHECK(before.find(net::to_hex("ftp")) != std::string::npos);
  const auto fresh = router.replace();
  SECTION("with their addresses and marks") {
    REQUIRE(ok(net::restore_state(router.plan, fresh.get(), *state, *connections)));
    check_same(before, tracked(fresh));
    for (const Talk& t : talks) CHECK(t.goes_on());
    check_same(before, tracked(fresh));  // no packet was taken for the first of another connection
    REQUIRE(ok(net::restore_state(router.plan, fresh.get(), *state, *connections)));  // all are there already
    for (const Talk& t : talks) CHECK(t.goes_on());
  }
  SECTION("and would not by themselves") {
    REQUIRE(ok(net::restore_state(router.plan, fresh.get(), *state)));
    CHECK(!talks.front().goes_on());
  }
}

TEST_CASE("live: ten thousand tracked connections") {
  NEED_NAMESPACES;
  const Router router;
  const auto visit = NetnsVisit::enter(router.host.get());
  CHECK(net::parse_connections(*net::save_connections(router.ct.get()))->empty());
  load_firewall(router.ct, kStrict);
  constexpr uint16_t kPort = 0x61a8;  // one that the translation keeps
  const Talk t = talk(router.client, "10.3.0.9", 7, router.listener, kPort);
  const auto state = net::save_state(router.plan, router.ct.get());
  const auto one = net::save_connections(router.ct.get());
  REQUIRE(ok(state));
  REQUIRE(ok(one));
  const auto lines = split(*one, '\n');
  REQUIRE(lines.size() == 3);
  std::string many = std::string(lines[0]) + "\n";
  for (int i = 0; i < 10000; ++i)
    many += replace_all(std::string(lines[1]), "61a8", fmt::format("{:04x}", 20000 + i)) + "\n";
  const auto fresh = router.replace();
  auto start = Clock::now();
  REQUIRE(ok(net::restore_state(router.plan, fresh.get(), *state)));
  const double without = ms_since(start);
  start = Clock::now();
  REQUIRE(ok(net::restore_state(router.plan, fresh.get(), *state, many)));
  WARN("10,000 connections, " << many.size() << " bytes: restored in " << ms_since(start) << " ms, none in "
                              << without);
  CHECK(in(fresh, "sysctl -n net.netfilter.nf_conntrack_count") == "10000\n");
  start = Clock::now();
  const auto again = net::save_connections(fresh.get());
  WARN("10,000 connections: saved in " << ms_since(start) << " ms");
  REQUIRE(ok(again));
  CHECK(split(*again, '\n').size() == 10002);
}
