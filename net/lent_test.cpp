#include "net/lent.h"
#include "tests/catch.h"

using namespace vz;

TEST_CASE("lent devices: round trip, and what is none is left out") {
  const std::vector<net::LentDevice> devices = {{"eth1", 2000, "52:54:00:11:22:33", 1500, "", 0},
                                                {"veth7", 2001, "", 65520, "veth", 12}};
  CHECK(net::parse_lent(net::print_lent(devices)) == devices);
  CHECK(net::parse_lent("").empty());
  for (const char* bad :
       {"eth1 0 1500 0 - -", "eth1 2000 1500 0 -", "a/b 2000 1500 0 - -", "eth1 x 1500 0 - -", "eth1 2000 -1 0 - -",
        "eth1 2000 1500 0 52:54 -", "eth1 4294967296 1500 0 - -", "eth1 2000 1500 x - -", "eth1 2000 1500 0 - - more"})
    CHECK(net::parse_lent(bad).empty());
}

TEST_CASE("lent devices: the first free number") {
  CHECK(net::next_lent_index({}) == 2000);
  CHECK(net::next_lent_index({{"a", 2001, "", 0, "", 0}, {"b", 2000, "", 0, "", 0}}) == 2002);
  CHECK(net::next_lent_index({{"a", 2001, "", 0, "", 0}}) == 2000);
}
