#include "base/log.h"
#include "base/result.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "tests/catch.h"

using namespace vz;

namespace {
Result<int> inner(bool ok) {
  if (!ok) return fail(Code::not_found, "no {}", "file");
  return 7;
}
Result<int> outer(bool ok) {
  TRY_AS(int v, inner(ok), "CT {}", 101);
  return v + 1;
}
}  // namespace

TEST_CASE("result: context goes in front and the code stays") {
  CHECK(*outer(true) == 8);
  const auto r = outer(false);
  REQUIRE(!r);
  CHECK(r.error().text == "CT 101: no file");
  CHECK(r.error().code == Code::not_found);
}

TEST_CASE("rollback: newest first, and not after commit") {
  std::string order;
  {
    Rollback undo;
    undo.add("a", [&]() -> Result<void> {
      order += 'a';
      return {};
    });
    undo.add("b", [&]() -> Result<void> {
      order += 'b';
      return {};
    });
  }
  CHECK(order == "ba");
  {
    Rollback undo;
    undo.add("c", [&]() -> Result<void> {
      order += 'c';
      return {};
    });
    undo.commit();
  }
  CHECK(order == "ba");
}

TEST_CASE("strings") {
  CHECK(split("a,,b", ',') == std::vector<std::string_view>{"a", "", "b"});
  CHECK(split("", ',').empty());
  CHECK(words("  a \t b\n") == std::vector<std::string_view>{"a", "b"});
  CHECK(parse_u64("18446744073709551615") == UINT64_MAX);
  CHECK(!parse_u64("18446744073709551616"));
  CHECK(!parse_u64("-1"));
  CHECK(!parse_u64(""));
  CHECK(!parse_u64("1 "));
  CHECK(parse_hex("7fFF") == 0x7fff);
  CHECK(parse_hex("ffffffffffffffff") == UINT64_MAX);
  CHECK(!parse_hex("10000000000000000"));
  CHECK(!parse_hex("0x1"));
  CHECK(!parse_hex(""));
  CHECK(shell_quote("it's") == "'it'\\''s'");
  CHECK(printable("a\x1b[") == "a\\x1b[");
}

TEST_CASE("lists of numbers as the kernel writes them") {
  using Numbers = std::vector<uint32_t>;
  CHECK(parse_numbers("5,0-3,2", 9) == Numbers{0, 1, 2, 3, 5});
  CHECK(parse_numbers("7", 9) == Numbers{7});
  for (const char* bad : {"", ",", "1,", "3-1", "-", "1-", "-1", "0-10", "a", "0x1", " 1", "1-2-3"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_numbers(bad, 9));
  }
  CHECK(print_numbers({0, 1, 2, 3, 5}) == "0-3,5");
  CHECK(print_numbers({4}) == "4");
  CHECK(print_numbers({}).empty());
}
