#include "config/config.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::config;

namespace {
std::string size(std::string_view text, uint64_t unit) {
  const auto r = parse_size(text, unit);
  if (!r) return r.error().code == Code::invalid ? "bad" : "wrong code";
  return *r == kUnlimited ? "unlimited" : std::to_string(*r);
}
std::string limits(std::string_view text, uint64_t unit) {
  const auto r = parse_barrier_limit(text, unit);
  return r ? print_barrier_limit(*r) : "bad";
}
std::string ip(std::string_view text) {
  const auto r = parse_ip(text);
  return r ? r->text() : "bad";
}
}  // namespace

TEST_CASE("sizes: bare numbers are units, suffixes are bytes") {
  CHECK(size("0", kPageSize) == "0");
  CHECK(size("65536", kPageSize) == "65536");
  CHECK(size("256M", kPageSize) == "65536");
  CHECK(size("256m", kPageSize) == "65536");
  CHECK(size("10P", kPageSize) == "10");
  CHECK(size("10p", 1) == "40960");
  CHECK(size("8192B", kPageSize) == "2");
  CHECK(size("1.5G", 1) == "1610612736");
  CHECK(size("2.2G", kDiskBlock) == "2306867");
  CHECK(size("0.5K", 1) == "512");
  CHECK(size("1.0000000000000000000000000000001G", 1) == "1073741824");
  CHECK(size("1.99999999999999999999999999999999K", 1) == "2047");
  CHECK(size("1T", kDiskBlock) == "1073741824");
  CHECK(size("unlimited", 1) == "unlimited");
}

TEST_CASE("sizes: too much is no limit") {
  CHECK(size("9223372036854775806", 1) == "9223372036854775806");
  CHECK(size("9223372036854775807", 1) == "unlimited");
  CHECK(size("18446744073709551615", 1) == "unlimited");
  CHECK(size("99999999999999999999999", kPageSize) == "unlimited");
  CHECK(size("8388607T", 1) == "9223370937343148032");
  CHECK(size("8388608T", 1) == "unlimited");
  CHECK(size("99999999999999999999G", kPageSize) == "unlimited");
}

TEST_CASE("sizes: bad text") {
  for (const char* text : {"", " 1", "1 ", "-1", "+1", "1.5", ".5G", "1.G", "G", "1.2.3G", "1X", "1KB", "0x10", "1e3",
                           "Unlimited", "1,5G", "unlimitedG", "1\n"}) {
    CHECK(size(text, 1) == "bad");
  }
  CHECK(size("10K", kItems) == "bad");
  CHECK(size("1.5", kItems) == "bad");
  CHECK(size("240", kItems) == "240");
  CHECK(size("unlimited", kItems) == "unlimited");
}

TEST_CASE("barrier and limit") {
  CHECK(limits("5", 1) == "5");
  CHECK(limits("5:5", 1) == "5");
  CHECK(limits("5:6", 1) == "5:6");
  CHECK(limits("0:256M", kPageSize) == "0:65536");
  CHECK(limits("unlimited", 1) == "unlimited");
  CHECK(limits("unlimited:unlimited", 1) == "unlimited");
  CHECK(limits("7:unlimited", 1) == "7:unlimited");
  for (const char* text : {"", ":", "1:", ":1", "1:2:3", "a:1"}) CHECK(limits(text, 1) == "bad");
}

TEST_CASE("addresses are canonical") {
  CHECK(ip("10.0.0.1") == "10.0.0.1");
  CHECK(ip("10.0.0.1/24") == "10.0.0.1/24");
  CHECK(ip("10.0.0.1/255.255.255.0") == "10.0.0.1/24");
  CHECK(ip("10.0.0.1/0.0.0.0") == "10.0.0.1/0");
  CHECK(ip("2001:DB8:0:0::1/64") == "2001:db8::1/64");
  CHECK(ip("::FFFF:1.2.3.4") == "::ffff:1.2.3.4");
  for (const char* text :
       {"", "10.0.0", "10.0.0.256", "10.0.0.1/", "10.0.0.1/33", "10.0.0.1/255.0.255.0", "::1/129",
        "::1/ffff::", "10.0.0.1/24/8", "010.0.0.1", "10.0.0.1 ", "fe80::1%eth0", "example.org", "10.0.0.1/-1", "1:2"}) {
    CAPTURE(text);
    CHECK(ip(text) == "bad");
  }
  CHECK(ip(std::string_view("10.0.0.1\0", 9)) == "bad");
  CHECK(parse_ip("::1")->v6);
  CHECK(!parse_ip("10.0.0.1")->v6);
}

TEST_CASE("netif option") {
  CHECK(print_netif_value({*parse_netif_option("eth0")}) == "ifname=eth0");
  CHECK(print_netif_value({*parse_netif_option("eth0,00:18:51:aa:bb:cc,veth101.0,fe:ff:ff:ff:ff:ff,br0")}) ==
        "ifname=eth0,bridge=br0,mac=00:18:51:AA:BB:CC,host_ifname=veth101.0,host_mac=FE:FF:FF:FF:FF:FF");
  CHECK(print_netif_value({*parse_netif_option("eth0,,,,vmbr0")}) == "ifname=eth0,bridge=vmbr0");
  for (const char* text : {"", ",", "lo", "all", "..", ".", "eth/0", "eth%d", "sixteencharacter", "eth 0", "-e",
                           "eth0,xx", "eth0,01:18:51:AA:BB:CC", "eth0,00:00:00:00:00:00", "eth0,00:18:51:AA:BB",
                           "eth0,00-18-51-AA-BB-CC", "eth0,,a/b", "eth0,,,,br0,more", "eth0\n"}) {
    CAPTURE(text);
    CHECK(!parse_netif_option(text));
  }
}

TEST_CASE("netif value") {
  const std::string two =
      "ifname=eth0,bridge=br0,mac=00:18:51:AA:BB:CC,host_ifname=veth101.0,host_mac=00:18:51:AA:BB:CD,mac_filter=on;"
      "ifname=eth1,mac_filter=off";
  const auto parsed = parse_netif_value(two);
  REQUIRE(parsed);
  CHECK(parsed->size() == 2);
  CHECK(print_netif_value(*parsed) == two);
  CHECK(print_netif_value(*parse_netif_value("mac=00:18:51:aa:bb:cc,ifname=eth0,gw=10.0.0.1,bridge=;")) ==
        "ifname=eth0,mac=00:18:51:AA:BB:CC");
  CHECK(parse_netif_value("")->empty());
  for (const char* text : {"ifname=", "mac=00:18:51:AA:BB:CC", "ifname=eth0,x", "ifname=eth0,mac=1",
                           "ifname=eth0,mac_filter=maybe", "ifname=eth0,,bridge=b", "ifname=a b"}) {
    CAPTURE(text);
    CHECK(!parse_netif_value(text));
  }
}

TEST_CASE("capabilities") {
  CHECK(*parse_capability("net_admin:on") == Capability{"net_admin", true});
  CHECK(*parse_capability("NET_ADMIN:off") == Capability{"net_admin", false});
  CHECK(*parse_capability("cap_sys_time:ON") == Capability{"sys_time", true});
  CHECK(parse_capability("ve_admin:on"));
  for (const char* text : {"", "net_admin", "net_admin:", "net_admin:yes", ":on", "nonesuch:on", "net_admin:on:off"})
    CHECK(!parse_capability(text));
  for (const std::string_view name : capability_names()) CHECK(parse_capability(std::string(name) + ":on"));
  CHECK(capability_names().size() == 41);
}

TEST_CASE("host names") {
  for (const char* text : {"a", "web-1", "web_1.example.org", "1.2", "X",
                           "a234567890123456789012345678901234567890123456789012345678901.x"})
    CHECK(check_hostname(text));
  for (const char* text : {"", ".", "a.", ".a", "a..b", "-a", "a-", "a b", "a\nb", "a;b", "\xc3\xa4", "a/b",
                           "a23456789012345678901234567890123456789012345678901234567890123456"}) {
    CAPTURE(text);
    CHECK(!check_hostname(text));
  }
}

TEST_CASE("container names") {
  for (const char* text : {"web", "web 1", "a-b+c_d.e", "1a", "-x"}) CHECK(check_name(text));
  for (const char* text : {"", ".", "..", ".x", "101", " a", "a ", "a/b", "../x", "a\nb", "a*", "\xc3\xa4", "$x"}) {
    CAPTURE(text);
    CHECK(!check_name(text));
  }
  CHECK(!check_name(std::string(256, 'x')));
}
