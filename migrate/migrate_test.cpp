#include <unistd.h>

#include "migrate/peer.h"
#include "migrate/terms.h"
#include "migrate/times.h"
#include "migrate/wire.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::migrate;

namespace {
HostFacts facts() { return {kProtocol, "0.1.0", "6.1.0", "x86_64", "4.2.1", "", {"sse", "avx"}}; }
}  // namespace

TEST_CASE("option strings split as a shell splits them") {
  CHECK(*split_words(" -p 22  -i '/a b' \"c\\\"d\" e\\ f ''") ==
        std::vector<std::string>{"-p", "22", "-i", "/a b", "c\"d", "e f", ""});
  CHECK(split_words("")->empty());
  CHECK_FALSE(split_words("'open"));
}

TEST_CASE("versions compare by number") {
  CHECK(older("3.17.1", "4.2"));
  CHECK(older("4.2", "4.2.1"));
  CHECK(older("4.2.1", "4.10"));
  CHECK_FALSE(older("4.2.1", "4.2.1"));
  CHECK_FALSE(older("5", "4.9"));
}

TEST_CASE("terms survive the wire, and lies are errors") {
  const auto f = parse_facts(print(facts()));
  REQUIRE(f);
  CHECK(f->cpu_flags == facts().cpu_flags);
  Offer offer{101, "HOSTNAME=\"\xff\"\n", "HOSTNAME=\"b\"\n", true, 5, 6};
  const auto o = parse_offer(print(offer));
  REQUIRE(o);
  CHECK(o->id == 101);
  CHECK(o->live == offer.live);
  CHECK(o->used_kib == 5);
  for (const char* bad : {"", "{}", "[]", "{\"ctid\":\"x\"}", "nonsense",
                          "{\"ctid\":0,\"conf\":\"\",\"live\":\"\",\"online\":true,\"used_kib\":0,\"used_inodes\":0}"})
    CHECK_FALSE(parse_offer(bad));
  CHECK_FALSE(parse_problems("{\"code\":1}"));
}

TEST_CASE("two hosts' facts: what stops a live move") {
  CHECK(compare(facts(), facts(), true).empty());
  HostFacts other = facts();
  other.cpu_flags.erase("avx");
  other.criu = "4.1.1";
  const auto problems = compare(facts(), other, true);
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].code == Code::unsupported);
  CHECK(problems[1].code == Code::cpu_mismatch);
  CHECK(problems[1].text.find("avx") != std::string::npos);
  CHECK(compare(facts(), other, false).empty());
  other = facts();
  other.protocol = kProtocol + 1;
  CHECK(compare(facts(), other, false).size() == 1);
}

TEST_CASE("wire: messages, the peer's own error, and nonsense") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const Wire wire(ends[0], ends[1]);
  REQUIRE(wire.send("hello", std::string("a\0b", 3)));
  CHECK(*wire.expect("hello") == std::string("a\0b", 3));
  REQUIRE(wire.send_error(fail(Code::no_space, "disk full")));
  const auto r = wire.expect("ready");
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Code::no_space);
  REQUIRE(::write(ends[1], "Welcome to this host, dear user", 31) == 31);
  CHECK(wire.receive().error().code == Code::peer);
  ::close(ends[1]);
  ::close(ends[0]);
}

TEST_CASE("times: the freeze is the sum of the frozen phases") {
  Times t;
  t.begin("Sync", false);
  t.begin("Dump", true);
  t.end();
  CHECK(t.frozen_seconds() >= 0);
  CHECK(t.table().find("Total suspended time") != std::string::npos);
}
