#include "net/state.h"

#include "base/strings.h"
#include "tests/catch.h"

using namespace vz;
using net::State;

namespace {

State sample() {
  State s;
  net::Link l;
  l.index = 33;
  l.name = "lan";
  l.kind = "veth";
  l.mac = "00:18:51:00:06:51";
  l.alias = "my\xff";
  l.flags = 0x1043;
  l.mtu = 1500;
  l.txqlen = 1000;
  s.links.push_back({"eth0", l});
  l.index = 2;
  l.name = "br0";
  l.kind = "bridge";
  l.kind_data = std::string("\x08\0\x01\0\x02\0\0\0", 8);
  s.links.push_back({"", l});
  s.sysctls = {{"ipv4/ip_local_port_range", "1000\t2000"}};
  s.addresses = {
      *net::parse_record({"address", 8, {1}}, std::string("\x02\x18\0\0\x21\0\0\0\x08\0\x01\0\x0a\0\0\x01", 16))};
  s.ruleset[net::RulesetPart::tables] = {
      *net::parse_record({"table", 4, {1}}, std::string("\x01\0\0\0\x06\0\x01\0t\0\0\0", 12))};
  s.unsupported = {"network device 'wg0' of kind 'wireguard'"};
  return s;
}

Result<State> changed(const std::string& from, const std::string& to) {
  const std::string text = net::print_state(sample());
  REQUIRE(text.find(from) != std::string::npos);
  return net::parse_state(replace_all(text, from, to));
}

}  // namespace

TEST_CASE("state: what is printed is read back") {
  const auto s = net::parse_state(net::print_state(sample()));
  REQUIRE(s);
  REQUIRE(s->links.size() == 2);
  CHECK(s->links[0].role == "eth0");
  CHECK(s->links[0].link.name == "lan");
  CHECK(s->links[0].link.alias == "my\xff");
  CHECK(s->links[0].link.flags == 0x1043);
  CHECK(s->links[1].link.kind_data.size() == 8);
  CHECK(s->sysctls == sample().sysctls);
  CHECK(s->addresses == sample().addresses);
  CHECK(s->routes.empty());
  CHECK(s->ruleset.parts == sample().ruleset.parts);
  CHECK(s->unsupported == sample().unsupported);
}

TEST_CASE("state: foreign text is an error, never a crash") {
  for (const char* text : {"", "{", "null", "[]", "{}", "\"x\"", "{\"version\":\"1\"}", "{\"version\":1}"}) {
    const auto s = net::parse_state(text);
    REQUIRE(!s);
    CHECK(s.error().code == Code::invalid);
  }
  CHECK(net::parse_state(std::string(100000, '[')).error().code == Code::invalid);
  const std::string whole = net::print_state(sample());
  for (size_t n = 0; n < whole.size(); ++n) CHECK(!net::parse_state(whole.substr(0, n)));
}

TEST_CASE("state: names, numbers and bytes are checked") {
  CHECK(!changed("\"lan\"", "\"../lan\""));
  CHECK(!changed("\"lan\"", "\"a name that is too long\""));
  CHECK(!changed("\"eth0\"", "\"a b\""));
  CHECK(!changed("00:18:51:00:06:51", "01:18:51:00:06:51"));
  CHECK(!changed("\"index\":33", "\"index\":0"));
  CHECK(!changed("\"index\":33", "\"index\":\"33\""));
  CHECK(!changed("\"bridge\"", "\"wireguard\""));
  CHECK(!changed("1000\\t2000", "1000\\n2000"));
  CHECK(!changed("1000\\t2000", std::string(300, '1')));
  CHECK(!changed("0218000021000000080001000a000001", "0218000021000000080001000a0000"));
  CHECK(!changed("0218000021000000080001000a000001", "xx"));
  CHECK(changed("\"version\":1", "\"version\":2").error().code == Code::unsupported);
}

TEST_CASE("state: kinds of devices that can be made") {
  CHECK(net::can_be_made("bridge"));
  CHECK(!net::can_be_made("veth"));
  CHECK(!net::can_be_made(""));
}
