#include "net/frames.h"

#include "tests/catch.h"

using namespace vz;

namespace {

const std::string kMac("\x02\0\0\0\0\x07", 6);
const std::string kIp("\x0a\x01\0\x65", 4);
const std::string kIp6("\xfd\x01\0\0\0\0\0\0\0\0\0\0\0\0\x01\x01", 16);

std::string hex(std::string_view bytes) {
  std::string out;
  char two[3];
  for (const char c : bytes) {
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(c));
    out += two;
  }
  return out;
}

// The one's complement sum over pseudo header and body is all ones when the checksum is right.
bool checksum_ok(std::string_view frame) {
  const std::string_view ip = frame.substr(14), body = ip.substr(40);
  uint32_t sum = 58 + static_cast<uint32_t>(body.size());
  const std::string all = std::string(ip.substr(8, 32)) + std::string(body);
  for (size_t i = 0; i + 1 < all.size(); i += 2)
    sum += static_cast<uint32_t>(static_cast<uint8_t>(all[i]) << 8 | static_cast<uint8_t>(all[i + 1]));
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff;
}

}  // namespace

TEST_CASE("frames: gratuitous ARP in both forms") {
  CHECK(hex(net::gratuitous_arp(kMac, kIp, false)) ==
        "ffffffffffff"
        "020000000007"
        "0806"
        "0001"
        "0800"
        "06"
        "04"
        "0001"
        "020000000007"
        "0a010065"
        "000000000000"
        "0a010065");
  CHECK(hex(net::gratuitous_arp(kMac, kIp, true)) ==
        "ffffffffffff"
        "020000000007"
        "0806"
        "0001"
        "0800"
        "06"
        "04"
        "0002"
        "020000000007"
        "0a010065"
        "020000000007"
        "0a010065");
}

TEST_CASE("frames: unsolicited neighbour advertisement") {
  const std::string f = net::unsolicited_na(kMac, kIp6, false);
  REQUIRE(f.size() == 86);
  CHECK(hex(f.substr(0, 22)) ==
        "333300000001"
        "020000000007"
        "86dd"
        "60000000"
        "0020"
        "3a"
        "ff");
  CHECK(hex(f.substr(22, 32)) == hex(kIp6) + "ff020000000000000000000000000001");
  CHECK(hex(f.substr(54, 2)) == "8800");
  CHECK(hex(f.substr(58)) == "20000000" + hex(kIp6) +
                                 "0201"
                                 "020000000007");
  CHECK(checksum_ok(f));
  CHECK(hex(net::unsolicited_na(kMac, kIp6, true).substr(58, 4)) == "a0000000");
}

TEST_CASE("frames: neighbour solicitation") {
  const std::string from_us = net::neighbour_solicitation(kMac, kIp6, kIp6);
  CHECK(hex(from_us.substr(0, 6)) == "3333ff000101");
  CHECK(hex(from_us.substr(38, 16)) == "ff0200000000000000000001ff000101");
  CHECK(checksum_ok(from_us));
  const std::string nameless = net::neighbour_solicitation(kMac, std::string(16, '\0'), kIp6);
  CHECK(nameless.size() == from_us.size() - 8);
  CHECK(checksum_ok(nameless));
}

TEST_CASE("frames: answers are recognised, anything else is not") {
  const std::string arp = net::gratuitous_arp(kMac, kIp, true), na = net::unsolicited_na(kMac, kIp6, false);
  CHECK(net::arp_answer(arp, kIp) == kMac);
  CHECK(net::na_answer(na, kIp6) == kMac);
  CHECK(!net::arp_answer(net::gratuitous_arp(kMac, kIp, false), kIp));
  CHECK(!net::arp_answer(arp, std::string("\x0a\x01\0\x66", 4)));
  CHECK(!net::arp_answer(na, kIp));
  CHECK(!net::na_answer(arp, kIp6));
  std::string far = na;
  far[21] = 64;  // came through a router
  CHECK(!net::na_answer(far, kIp6));
  for (size_t n = 0; n < arp.size(); ++n) CHECK(!net::arp_answer(std::string_view(arp).substr(0, n), kIp));
  for (size_t n = 0; n < 78; ++n) CHECK(!net::na_answer(std::string_view(na).substr(0, n), kIp6));
}
