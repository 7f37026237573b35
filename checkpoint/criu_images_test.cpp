#include "checkpoint/criu_images.h"

#include "tests/catch.h"

using namespace vz;
using namespace vz::checkpoint;
using namespace std::string_view_literals;

namespace {

constexpr std::string_view kMagic = "\x56\x54\x56\x54\x01\x02\x03\x04";

std::string image(std::initializer_list<std::string_view> messages) {
  std::string out(kMagic);
  for (const std::string_view m : messages) {
    out += std::string{static_cast<char>(m.size()), 0, 0, 0};
    out += m;
  }
  return out;
}

}  // namespace

TEST_CASE("criu images: whose pages a list has") {
  CHECK(pages_of(image({"\x08\x07"sv, "\x08\x80\x20\x10\x00\x20\x04\x28\x03"sv})).value_or(0) == 7);
  CHECK(pages_of(image({"\x08\xac\x02"sv})).value_or(0) == 300);
  CHECK_FALSE(pages_of(""));
  CHECK_FALSE(pages_of(kMagic));
  CHECK_FALSE(pages_of(image({"\x10\x07"sv})));
  CHECK_FALSE(pages_of(image({"\x0a\x01x"sv})));
  CHECK_FALSE(pages_of(std::string(kMagic) + std::string("\x7f\0\0\0\x08", 5)));
}

TEST_CASE("criu images: segments get names of their own, and nothing else changes") {
  const std::string_view one = "\x0a\x09/dev/zero\x10\x05\x28\x2a\x30\x01\x38\x00"sv;
  const std::string_view other = "\x0a\x01x\x28\x07"sv;
  const auto named = name_segments(image({one, other}), {42});
  REQUIRE(named);
  CHECK(*named == image({"\x0a\x09vessel-42\x10\x05\x28\x2a\x30\x01\x38\x00"sv, other}));
  CHECK(segment_key(42) == "/memfd:vessel-42");
  CHECK_FALSE(name_segments(image({one, other}), {43}));
  CHECK_FALSE(name_segments(image({"\x0a\x7fx"sv}), {42}));
  CHECK_FALSE(name_segments("", {42}));
}
