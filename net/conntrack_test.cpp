#include "net/conntrack.h"

#include <arpa/inet.h>

#include "base/strings.h"
#include "tests/catch.h"

using namespace vz;
using net::Record;

namespace {

// Attribute numbers of the kernel's interface (linux/netfilter/nfnetlink_conntrack.h), spelt out: the test is about the
// bytes.
constexpr uint16_t kNested = 0x8000, kOriginal = 1, kReply = 2, kStatus = 3, kProtocolInfo = 4, kSourceNat = 6,
                   kTimeout = 7, kDestinationNat = 13;
constexpr uint32_t kSeen = 2, kAssured = 4, kConfirmed = 8, kTranslatesSource = 16, kTranslatesDestination = 32,
                   kDying = 512;

Record::Attribute nest(uint16_t type, std::vector<Record::Attribute> inside) {
  return {static_cast<uint16_t>(type | kNested), net::record_bytes({"", std::move(inside)})};
}

std::string address(const char* text) {
  in6_addr a{};
  const bool v6 = std::string_view(text).find(':') != std::string_view::npos;
  REQUIRE(::inet_pton(v6 ? AF_INET6 : AF_INET, text, &a) == 1);
  return {reinterpret_cast<const char*>(&a), v6 ? sizeof(in6_addr) : sizeof(in_addr)};
}
std::string port(unsigned n) { return {static_cast<char>(n >> 8), static_cast<char>(n)}; }

struct End {
  const char* address;
  unsigned port;
};
Record::Attribute tuple(uint16_t type, End from, End to, char protocol = 6) {
  const bool v6 = std::string_view(from.address).find(':') != std::string_view::npos;
  return nest(type, {nest(1, {{static_cast<uint16_t>(v6 ? 3 : 1), address(from.address)},
                              {static_cast<uint16_t>(v6 ? 4 : 2), address(to.address)}}),
                     nest(2, {{1, std::string(1, protocol)}, {2, port(from.port)}, {3, port(to.port)}})});
}
Record::Attribute tcp(char state, const std::string& flags = {"\x23\0", 2}) {
  return nest(kProtocolInfo, {nest(1, {{1, std::string(1, state)}, {4, flags}, {5, flags}})});
}

constexpr End kClient = {"10.0.0.1", 40000}, kServer = {"10.0.0.2", 80}, kUs = {"192.0.2.1", 50000};
constexpr char kEstablished = 3, kLastAck = 6, kTimeWait = 7, kClosed = 8;

Record connection(uint32_t status, Record::Attribute original, Record::Attribute reply,
                  std::vector<Record::Attribute> more) {
  Record r = {std::string("\x02\0\0\0", 4), {std::move(original), std::move(reply), {kStatus, net::be32(status)}}};
  for (auto& a : more) r.attributes.push_back(std::move(a));
  return r;
}
Record plain(uint32_t status, char state) {
  return connection(status, tuple(kOriginal, kClient, kServer), tuple(kReply, kServer, kClient),
                    {tcp(state), {kTimeout, net::be32(300)}});
}

// What REQUEST has at a path of nested attributes.
std::string at(const std::optional<Record>& request, std::vector<uint16_t> path) {
  REQUIRE(request);
  Record r = *request;
  for (size_t i = 0;; ++i) {
    const std::string* data = r.find(path.at(i));
    if (!data) return "absent";
    if (i + 1 == path.size()) return *data;
    auto nested = net::parse_nested(*data);
    REQUIRE(nested);
    r = std::move(*nested);
  }
}

void check_reply(const std::optional<Record>& request, End from, End to) {
  const bool v6 = std::string_view(from.address).find(':') != std::string_view::npos;
  CHECK(at(request, {kReply, 1, static_cast<uint16_t>(v6 ? 3 : 1)}) == address(from.address));
  CHECK(at(request, {kReply, 1, static_cast<uint16_t>(v6 ? 4 : 2)}) == address(to.address));
  CHECK(at(request, {kReply, 2, 1}) == "\x06");
  CHECK(at(request, {kReply, 2, 2}) == port(from.port));
  CHECK(at(request, {kReply, 2, 3}) == port(to.port));
}

void check_choice(const std::optional<Record>& request, uint16_t nat, End only) {
  const bool v6 = std::string_view(only.address).find(':') != std::string_view::npos;
  for (const uint16_t end : {v6 ? 4 : 1, v6 ? 5 : 2}) CHECK(at(request, {nat, end}) == address(only.address));
  for (const uint16_t end : {1, 2}) CHECK(at(request, {nat, 3, end}) == port(only.port));
}

}  // namespace

TEST_CASE("connections: only what the kernel accepts of the status is asked for") {
  CHECK(at(net::connection_request(plain(0xffff & ~kDying, kEstablished)), {kStatus}) ==
        net::be32(kSeen | kAssured | kConfirmed));
  CHECK(at(net::connection_request(plain(kConfirmed, kEstablished)), {kStatus}) == net::be32(kConfirmed));
  CHECK(at(net::connection_request(plain(0, kEstablished)), {kStatus}) == net::be32(kConfirmed));
}

TEST_CASE("connections: TCP goes on whatever its windows are") {
  const auto request = net::connection_request(plain(kSeen, kEstablished));
  CHECK(at(request, {kProtocolInfo, 1, 1}) == std::string(1, kEstablished));
  for (const uint16_t flags : {4, 5}) CHECK(at(request, {kProtocolInfo, 1, flags}) == "\x0b\x0b");
  CHECK(at(request, {kTimeout}) == net::be32(300));
  check_reply(request, kServer, kClient);
}

TEST_CASE("connections: a flow in a flowtable has neither state nor timeout") {
  const auto request = net::connection_request(
      connection(kSeen, tuple(kOriginal, kClient, kServer), tuple(kReply, kServer, kClient), {}));
  CHECK(at(request, {kProtocolInfo, 1, 1}) == std::string(1, kEstablished));
  for (const uint16_t flags : {4, 5}) CHECK(at(request, {kProtocolInfo, 1, flags}) == "\x08\x08");
  CHECK(at(request, {kTimeout}) == net::be32(120));
  const auto udp = net::connection_request(
      connection(kSeen, tuple(kOriginal, kClient, kServer, 17), tuple(kReply, kServer, kClient, 17), {}));
  CHECK(at(udp, {kProtocolInfo}) == "absent");
  CHECK(at(udp, {kTimeout}) == net::be32(120));
}

TEST_CASE("connections: translations are asked for, from the untranslated") {
  const auto source = net::connection_request(connection(kSeen | kTranslatesSource, tuple(kOriginal, kClient, kServer),
                                                         tuple(kReply, kServer, kUs), {tcp(kEstablished)}));
  check_reply(source, kServer, kClient);
  check_choice(source, kSourceNat, kUs);
  CHECK(at(source, {kDestinationNat}) == "absent");
  CHECK(at(source, {kStatus}) == net::be32(kSeen | kConfirmed));

  const auto destination =
      net::connection_request(connection(kSeen | kTranslatesDestination, tuple(kOriginal, kClient, kUs),
                                         tuple(kReply, kServer, kClient), {tcp(kEstablished)}));
  check_reply(destination, kUs, kClient);
  check_choice(destination, kDestinationNat, kServer);
  CHECK(at(destination, {kSourceNat}) == "absent");

  const End client = {"fd00::1", 40000}, server = {"fd00::2", 80}, front = {"fd00::3", 8080}, us = {"fd00::4", 50000};
  const auto both = net::connection_request(connection(kSeen | kTranslatesSource | kTranslatesDestination,
                                                       tuple(kOriginal, client, front), tuple(kReply, server, us),
                                                       {tcp(kEstablished)}));
  check_reply(both, front, client);
  check_choice(both, kSourceNat, us);
  check_choice(both, kDestinationNat, server);
}

TEST_CASE("connections: a tuple's other attributes stay") {
  auto reply = tuple(kReply, kServer, kUs);
  reply.data += net::record_bytes({"", {{3, std::string("\0\x07", 2)}}});  // its zone
  const auto request = net::connection_request(
      connection(kTranslatesSource, tuple(kOriginal, kClient, kServer), reply, {tcp(kEstablished)}));
  CHECK(at(request, {kReply, 3}) == std::string("\0\x07", 2));
}

TEST_CASE("connections: what is over, or cannot be made again, is left out") {
  CHECK(net::connection_request(plain(kSeen, kLastAck)));
  CHECK(!net::connection_request(plain(kSeen, kTimeWait)));
  CHECK(!net::connection_request(plain(kSeen, kClosed)));
  CHECK(!net::connection_request(plain(kSeen | kDying, kEstablished)));
  const Record::Attribute ping =
      nest(kOriginal, {nest(1, {{1, address("10.0.0.1")}, {2, address("10.0.0.2")}}),
                       nest(2, {{1, "\x01"}, {4, port(7)}, {5, "\x08"}, {6, std::string(1, '\0')}})});
  const Record::Attribute answer = {static_cast<uint16_t>(kReply | kNested), ping.data};
  CHECK(net::connection_request(connection(kSeen, ping, answer, {})));
  CHECK(!net::connection_request(connection(kSeen | kTranslatesSource, ping, answer, {})));
}

TEST_CASE("connections: malformed ones are left out, never a crash") {
  CHECK(!net::connection_request({}));
  const Record good = connection(kSeen | kTranslatesSource | kTranslatesDestination, tuple(kOriginal, kClient, kUs),
                                 tuple(kReply, kServer, kUs), {tcp(kEstablished)});
  REQUIRE(net::connection_request(good));
  for (const uint16_t type : {kOriginal, kReply}) {
    Record r = good;
    r.erase(type);
    CHECK(!net::connection_request(r));
    for (size_t n = 0; n < good.find(type)->size(); ++n) {
      r.set(type, good.find(type)->substr(0, n));
      CHECK(!net::connection_request(r));
    }
  }
  for (size_t n = 0; n < good.find(kProtocolInfo)->size(); ++n) {
    Record r = good;
    r.set(kProtocolInfo, good.find(kProtocolInfo)->substr(0, n));
    (void)net::connection_request(r);
  }
  Record r = good;
  r.set(kStatus, "\x01");
  CHECK(at(net::connection_request(r), {kStatus}) == net::be32(kConfirmed));
}

TEST_CASE("connections: what is printed is read back") {
  const std::vector<Record> all = {plain(kSeen, kEstablished), plain(kSeen | kAssured, kLastAck)};
  const std::string text = net::print_connections(all);
  const auto read = net::parse_connections(text);
  REQUIRE(read);
  CHECK(*read == all);
  CHECK(net::parse_connections(net::print_connections({}))->empty());
  CHECK(net::parse_connections("")->empty());
}

TEST_CASE("connections: foreign text is an error, never a crash") {
  const std::string line = net::to_hex(net::record_bytes(plain(kSeen, kEstablished))) + "\n";
  const std::string head = net::print_connections({}), whole = head + line;
  REQUIRE(net::parse_connections(whole));
  const auto code_of = [](const std::string& text) {
    const auto r = net::parse_connections(text);
    REQUIRE(!r);
    return r.error().code;
  };
  for (size_t n = 1; n < whole.size(); ++n)
    if (n != head.size()) CHECK(code_of(whole.substr(0, n)) == Code::invalid);
  CHECK(code_of(head + "xx\n") == Code::invalid);
  CHECK(code_of(head + "\n") == Code::invalid);
  CHECK(code_of(head + line.substr(2)) == Code::invalid);
  CHECK(code_of(replace_all(head, "1", "2")) == Code::unsupported);
  CHECK(code_of(std::string("\0\x1b[\n", 4)) == Code::unsupported);
  std::string many = head;
  for (int i = 0; i < 16385; ++i) many += line;
  CHECK(code_of(many) == Code::invalid);
}
