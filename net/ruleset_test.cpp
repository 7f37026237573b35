#include "net/ruleset.h"

#include "tests/catch.h"

using namespace vz;
using net::CompatProtocol;
using net::Record;

namespace {

// Attribute numbers of the kernel's interface (linux/netfilter/nf_tables.h), spelt out: the test is about the bytes.
constexpr uint16_t kElement = 1, kName = 1, kData = 2, kChain = 2, kExpressions = 4;

std::string be32(uint32_t v) {
  return {static_cast<char>(v >> 24), static_cast<char>(v >> 16), static_cast<char>(v >> 8), static_cast<char>(v)};
}
std::string nest(std::vector<Record::Attribute> attributes) { return net::record_bytes({"", std::move(attributes)}); }
std::string text(const std::string& s) { return s + '\0'; }

Record::Attribute expression(const std::string& name, std::vector<Record::Attribute> data) {
  return {kElement, nest({{kName, text(name)}, {kData, nest(std::move(data))}})};
}
Record::Attribute load_protocol() { return expression("meta", {{2, be32(16)}, {1, be32(1)}}); }
Record::Attribute load_ip_protocol() {
  return expression("payload", {{1, be32(1)}, {2, be32(1)}, {3, be32(9)}, {4, be32(1)}});
}
Record::Attribute compare(uint32_t op, char value) {
  return expression("cmp", {{1, be32(1)}, {2, be32(op)}, {3, nest({{1, std::string(1, value)}})}});
}
Record::Attribute match() { return expression("match", {{1, text("multiport")}}); }

Record rule(const std::string& chain, std::vector<Record::Attribute> expressions) {
  return {std::string("\x02\0\0\0", 4),
          {{1, text("t")}, {kChain, text(chain)}, {kExpressions, nest(std::move(expressions))}}};
}
Record::Attribute jump(const std::string& chain) {
  return expression("immediate", {{2, nest({{2, nest({{1, be32(0xfffffffd)}, {2, text(chain)}})}})}});
}

}  // namespace

TEST_CASE("ruleset: the protocol of an iptables-nft rule is found in its expressions") {
  CHECK(net::compat_protocol(rule("c", {load_protocol(), compare(0, 6), match()})) == CompatProtocol{6, false});
  CHECK(net::compat_protocol(rule("c", {load_protocol(), compare(1, 17), match()})) == CompatProtocol{17, true});
  CHECK(net::compat_protocol(rule("c", {load_ip_protocol(), compare(0, 6), match()})) == CompatProtocol{6, false});
  CHECK(!net::compat_protocol(rule("c", {load_protocol(), compare(0, 6)})));
  CHECK(!net::compat_protocol(rule("c", {match()})));
  CHECK(!net::compat_protocol(rule("c", {load_protocol(), match(), compare(0, 6)})));
  CHECK(!net::compat_protocol(Record{}));
}

TEST_CASE("ruleset: rules of implicit chains are loaded from the inside out") {
  const std::vector<Record> rules = {rule("input", {jump("__chain1")}), rule("__chain1", {jump("__chain2")}),
                                     rule("__chain2", {match()}), rule("output", {match()})};
  std::vector<const Record*> expected = {&rules[2], &rules[1], &rules[0], &rules[3]};
  CHECK(net::loading_order(rules, {"__chain1", "__chain2"}) == expected);
  expected = {&rules[0], &rules[1], &rules[2], &rules[3]};
  CHECK(net::loading_order(rules, {}) == expected);
  const std::vector<Record> circle = {rule("a", {jump("b")}), rule("b", {jump("a")})};
  CHECK(net::loading_order(circle, {"a", "b"}).size() == 2);
}
