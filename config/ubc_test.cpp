#include "config/ubc.h"

#include "base/strings.h"
#include "config/config.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::config;

namespace {

const std::string kText =
    "Version: 2.5\n"
    "       uid  resource                     held              maxheld              barrier                limit  "
    "            failcnt\n"
    "      101:  kmemsize                  2650000              3000000             14372700             14790164    "
    "                0\n"
    "            privvmpages                  1000                 2000                65536                69632    "
    "                0\n"
    "            dummy                           0                    0  9223372036854775807  9223372036854775807   "
    "                 0\n"
    "            physpages                     900                 1000                    0  9223372036854775807   "
    "                 0\n"
    "      102:  physpages                     900                 1000                    0                16384   "
    "                 3\n"
    "            swappages                       5                   10                    0                32768   "
    "                 0\n";

}  // namespace

TEST_CASE("user_beancounters: by container, without dummy rows") {
  const auto all = parse_ubc(kText);
  REQUIRE(all);
  REQUIRE(all->size() == 2);
  CHECK((*all)[0].ct == "101");
  CHECK((*all)[0].rows.size() == 3);
  CHECK((*all)[0].find("kmemsize")->limit == 14790164);
  CHECK((*all)[1].find("physpages")->failcnt == 3);
  CHECK_FALSE((*all)[1].find("kmemsize"));
  CHECK(parse_ubc("Version: 2.5\n")->empty());
  CHECK(parse_ubc("Version: 2.5\n0a-1f:  numproc 1 2 3 4 5\n")->front().ct == "0a-1f");
}

TEST_CASE("user_beancounters: what is none") {
  for (const char* text :
       {"", "x", "Version: 2.4\n", "Version: 2.5\n numproc 1 2 3 4 5\n", "Version: 2.5\n1: numproc 1 2 3 4\n",
        "Version: 2.5\n1: numproc 1 2 3 4 x\n", "Version: 2.5\n../1: numproc 1 2 3 4 5\n",
        "Version: 2.5\n1: ../numproc 1 2 3 4 5\n", "Version: 2.5\n1: numproc 1 2 3 4 99999999999999999999\n"}) {
    INFO(text);
    CHECK_FALSE(parse_ubc(text));
  }
}

TEST_CASE("sizes of five characters") {
  CHECK(scaled_size(0) == "-");
  CHECK(scaled_size(kUnlimited) == "-");
  CHECK(scaled_size(1023) == "1023");
  CHECK(scaled_size(1024) == "1.00K");
  CHECK(scaled_size(2650000) == "2.53M");
  CHECK(scaled_size(10239) == "10.0K");
  CHECK(scaled_size(102348) == "99.9K");
  CHECK(scaled_size(102399) == "100K");
  CHECK(scaled_size((uint64_t{1} << 30) - 1) == "1.00G");
  for (uint64_t v = 1; v < kUnlimited / 3; v = v * 3 + 1) CHECK(scaled_size(v).size() <= 5);
}

TEST_CASE("limits of a row") {
  CHECK(first_limit({"numproc", 0, 0, 100, 200, 0}) == 100);
  CHECK(first_limit({"physpages", 0, 0, 0, 200, 0}) == 200);
  CHECK(first_limit({"numproc", 0, 0, kUnlimited, kUnlimited, 0}) == 0);
  CHECK(in_bytes({"physpages"}, 3) == 12288);
  CHECK(in_bytes({"kmemsize"}, 3) == 3);
  CHECK(in_bytes({"physpages"}, kUnlimited - 1) == kUnlimited);
}

TEST_CASE("oversell: limits, guessed limits and none") {
  const auto all = parse_ubc(kText);
  const Oversold first = oversold((*all)[0]), second = oversold((*all)[1]);
  CHECK(first.flags == "R");
  CHECK(first.ram.limit == uint64_t{69632} * 4096 / 2);
  CHECK(second.flags == "f");
  CHECK(second.ram.limit == 64u << 20);
  CHECK(second.swap.peak == 40960);
  const Oversold none = oversold({"103", {{"numproc", 1, 1, 5, 5, 2}}});
  CHECK(none.flags == "UF");
  CHECK(oversold({"104", {{"physpages", 1, 1, 0, 5, 0}}}).flags == "");
  CHECK(oversold({"104", {{"physpages", 1, 1, 0, 5, 0}, {"swappages", 0, 0, 0, kUnlimited, 0}}}).flags == "S");
  const Oversold sum = total({first, second, none});
  CHECK(sum.ram.limit == first.ram.limit + second.ram.limit);
  CHECK(sum.swap.limit == 128u << 20);
  CHECK(sum.ram.failures == 3);
}

TEST_CASE("user_beancounters: printed as a 64-bit kernel does") {
  const auto tables = *parse_ubc(kText);
  const std::string text = print_user_beancounters(tables);
  const auto lines = split(text, '\n');
  REQUIRE(lines.size() == 2 + 2 * 24 + 1);
  CHECK(lines[1] ==
        "       uid  resource                     held              maxheld              barrier                limit"
        "              failcnt");
  CHECK(lines[2] ==
        "      101:  kmemsize                  2650000              3000000             14372700             14790164"
        "                    0");
  CHECK(lines[4] ==
        "            privvmpages                  1000                 2000                65536                69632"
        "                    0");
  const std::string dummy =
      "            dummy                           0                    0  9223372036854775807  9223372036854775807"
      "                    0";
  for (const size_t row : {6, 22, 23, 24}) CHECK(lines[row] == dummy);
  CHECK(words(lines[25])[0] == "numiptent");
  // Of the second table there is no kmemsize: the row that names the container is there nevertheless.
  CHECK(words(lines[26])[0] == "102:");
  CHECK(words(lines[26]).size() == 7);
  CHECK(words(lines[27]).size() == 6);
  CHECK(text.find("swappages") == std::string::npos);
  const auto again = parse_ubc(text);
  REQUIRE(again);
  CHECK((*again)[0].find("privvmpages")->held == 1000);
  CHECK((*again)[1].find("kmemsize")->limit == kUnlimited);
}

TEST_CASE("bc/resources: without gaps, with swap") {
  const auto tables = *parse_ubc(kText);
  const std::string all = print_ubc(tables), one = print_ubc(tables[1]);
  CHECK(all.find("dummy") == std::string::npos);
  CHECK(parse_ubc(all)->at(1).find("swappages")->limit == 32768);
  CHECK(split(one, '\n').size() == 21 + 1);
  CHECK(words(split(one, '\n')[0])[0] == "kmemsize");
  CHECK(words(split(one, '\n')[20])[0] == "swappages");
}
