#include "net/record.h"

#include "tests/catch.h"

using namespace vz;
using net::Kind;
using net::Record;

namespace {
const Kind kThing = {"thing", 4, {1, 3}};
std::string bytes(std::string_view hex) { return *net::from_hex(hex); }
}  // namespace

TEST_CASE("record: header and listed attributes survive, others do not") {
  // header, 1: "ab", 2: left out, 3 (nested flag): 4 bytes
  const std::string in = bytes(
      "02180000"
      "06000100"
      "61620000"
      "05000200"
      "ff000000"
      "08000380"
      "01020304");
  const auto r = net::parse_record(kThing, in);
  REQUIRE(r);
  CHECK(r->header == bytes("02180000"));
  REQUIRE(r->attributes.size() == 2);
  CHECK(*r->find(1) == "ab");
  CHECK(r->find(2) == nullptr);
  CHECK(r->u32(3) == 0x04030201);
  CHECK(r->u32(1) == 0);
  CHECK(net::record_bytes(*r) == bytes("02180000"
                                       "06000100"
                                       "61620000"
                                       "08000380"
                                       "01020304"));
}

TEST_CASE("record: a kind that lists nothing keeps everything") {
  const auto r = net::parse_record(Kind{"any", 0, {}}, bytes("05000700"
                                                             "ff000000"
                                                             "04000700"));
  REQUIRE(r);
  CHECK(r->attributes.size() == 2);
}

TEST_CASE("record: set and erase") {
  Record r;
  r.set(1, "x");
  r.set(1, "y");
  r.set(2, "z");
  CHECK(r.attributes.size() == 2);
  CHECK(*r.find(1) == "y");
  r.erase(1);
  CHECK(!r.find(1));
}

TEST_CASE("record: malformed bytes are an error") {
  for (const char* hex : {"", "021800", "0218000006", "0218000003000100", "02180000ff000100", "0218000000000000",
                          "02180000060001006162000005"}) {
    INFO(hex);
    const auto r = net::parse_record(kThing, bytes(hex));
    REQUIRE(!r);
    CHECK(r.error().code == Code::invalid);
    CHECK(r.error().text == "malformed thing");
  }
}

TEST_CASE("record: every beginning of a good one is an error or a good one") {
  const std::string whole = bytes(
      "02180000"
      "06000100"
      "61620000"
      "08000380"
      "01020304");
  for (size_t n = 0; n < whole.size(); ++n)
    if (const auto r = net::parse_record(kThing, whole.substr(0, n))) CHECK(r->attributes.size() < 2);
}

TEST_CASE("hexadecimal") {
  CHECK(net::to_hex(std::string("\0\x7f\xff", 3)) == "007fff");
  CHECK(net::from_hex("007fff") == std::string("\0\x7f\xff", 3));
  CHECK(net::from_hex("") == "");
  for (const char* bad : {"0", "0g", "0X", " 00", "AB"}) CHECK(!net::from_hex(bad));
}
