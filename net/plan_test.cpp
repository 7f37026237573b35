#include "net/net.h"
#include "tests/catch.h"

using namespace vz;
using net::Plan;

namespace {
config::NetIf netif(std::string name) { return {std::move(name), "", "", "", "", {}}; }
}  // namespace

TEST_CASE("plan: what NETIF leaves out gets stable defaults") {
  config::CtSpec spec;
  spec.netif = {{netif("eth0"), {"eth3", "00:18:51:AA:BB:CC", "web", "FE:18:51:00:00:01", "br1", {}}}};
  const Plan p = net::plan(101, spec);
  REQUIRE(p.veths.size() == 2);
  CHECK(p.veths[0] == net::Veth{"veth101.0", "eth0", "FE:18:51:00:06:51", "00:18:51:00:06:51", ""});
  CHECK(p.veths[1] == net::Veth{"web", "eth3", "FE:18:51:00:00:01", "00:18:51:AA:BB:CC", "br1"});
  CHECK(!p.routed);
  CHECK(net::plan(101, spec).veths == p.veths);
}

TEST_CASE("plan: host names differ from one another and fit") {
  config::CtSpec spec;
  spec.netif = {{netif("lan"), netif("eth0"), netif("eth1"), netif("eth999999"), netif("eth1")}};
  const Plan p = net::plan(101, spec);
  std::vector<std::string> names;
  for (const auto& v : p.veths) names.push_back(v.host_name);
  CHECK(names == std::vector<std::string>{"veth101.2", "veth101.0", "veth101.1", "veth101.3", "veth101.4"});

  spec.netif = {{netif("eth0"), netif("eth10"), netif("eth999")}};
  for (const config::CtId id : {1u, 123456u, config::kMaxCtId})
    for (const auto& v : net::plan(id, spec).veths) {
      INFO(v.host_name);
      CHECK(net::valid_ifname(v.host_name));
      CHECK(net::valid_mac(v.ct_mac));
    }
  CHECK(net::plan(config::kMaxCtId, spec).veths[2].host_name == "v2147483644.999");
}

TEST_CASE("plan: addresses make a routed pair") {
  config::CtSpec spec;
  spec.ip_address = std::vector<config::IpAddress>{};
  CHECK(!net::plan(101, spec).routed);
  spec.ip_address = {{config::IpAddress{"10.0.0.1", 24, false}}};
  const Plan p = net::plan(config::kMaxCtId, spec);
  REQUIRE(p.routed);
  CHECK(p.routed->veth.ct_name == "venet0");
  CHECK(p.routed->veth.host_name == "vnet.2147483644");
  CHECK(p.routed->veth.bridge.empty());
  CHECK(p.routed->addresses == *spec.ip_address);
}

TEST_CASE("stable_mac: CTIDs in use have their own, and the host's end cannot become a bridge's") {
  CHECK(net::stable_mac(101, 0, false) == "00:18:51:00:06:50");
  CHECK(net::stable_mac(101, 0, true) == "FE:18:51:00:06:50");
  CHECK(net::stable_mac(102, 0, false) != net::stable_mac(101, 1, false));
  CHECK(net::stable_mac(101, 16, false) != net::stable_mac(102, 0, false));
  CHECK(net::stable_mac(524287, 15, false) == "00:18:51:7F:FF:FF");
  CHECK(net::stable_mac(524288, 0, false).substr(9, 2) >= "80");
  CHECK(net::valid_mac(net::stable_mac(config::kMaxCtId, 999, true)));
}

TEST_CASE("valid_mac") {
  CHECK(net::valid_mac("00:18:51:AA:bb:CC"));
  for (const char* bad : {"", "00:18:51:AA:BB", "00:18:51:AA:BB:CC:", "00-18-51-AA-BB-CC", "00:18:51:AA:BB:CG",
                          "01:18:51:AA:BB:CC", "FF:FF:FF:FF:FF:FF", "00:00:00:00:00:00", "0:018:51:AA:BB:CC"})
    CHECK_FALSE(net::valid_mac(bad));
}

TEST_CASE("valid_ifname") {
  for (const char* good : {"eth0", "veth101.0", "a", "br-lan@1"}) CHECK(net::valid_ifname(good));
  for (const char* bad : {"", ".", "..", "a/b", "a b", "a\tb", "a:b", "sixteencharacter", "a\n", "\x7f", "\xc3\xa4"})
    CHECK_FALSE(net::valid_ifname(bad));
}
