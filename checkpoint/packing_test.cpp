#include "checkpoint/packing.h"

#include <random>

#include "tests/catch.h"

using namespace vz;
using namespace vz::checkpoint;

namespace {

constexpr size_t kPiece = 96u << 10;

struct Link {
  double plain, packed;  // bytes a second
  double seconds(bool as_packed) const { return kPiece / (as_packed ? packed : plain); }
};

// The part that was packed of PIECES over LINK.
double packed_of(PackingChoice& choice, const Link& link, int pieces) {
  int packed = 0;
  for (int i = 0; i < pieces; ++i) {
    const bool as_packed = choice.next();
    packed += as_packed;
    choice.took(kPiece, link.seconds(as_packed));
  }
  return static_cast<double>(packed) / pieces;
}

}  // namespace

TEST_CASE("packing: what gets it there sooner is chosen, and again when the link changes") {
  const Link fast{1e9, 4e8}, slow{1e8, 2.5e8};
  PackingChoice choice;
  (void)packed_of(choice, fast, 400);
  CHECK(packed_of(choice, fast, 10000) < 0.08);
  (void)packed_of(choice, slow, 4000);
  CHECK(packed_of(choice, slow, 10000) > 0.92);
  (void)packed_of(choice, fast, 20000);
  CHECK(packed_of(choice, fast, 10000) < 0.08);
}

TEST_CASE("packing: there and back") {
  std::mt19937 random(1);
  std::string noise(kPiece, 0), half(kPiece, 0);
  for (char& c : noise) c = static_cast<char>(random());
  half.replace(0, kPiece / 2, noise, 0, kPiece / 2);
  Packer packer;
  CHECK(packer.pack(noise).empty());
  for (const std::string& text : {half, std::string(kPiece, 0), std::string(4096, 'x')}) {
    const std::string packed = packer.pack(text);
    REQUIRE(!packed.empty());
    CHECK(packed.size() < text.size());
    const auto back = unpack(packed, text.size());
    REQUIRE(back);
    CHECK(*back == text);
    CHECK_FALSE(unpack(packed, text.size() - 1));
    CHECK_FALSE(unpack(packed, text.size() + 1));
    CHECK_FALSE(unpack(packed.substr(0, packed.size() - 1), text.size()));
  }
  CHECK_FALSE(unpack("", 4096));
  CHECK_FALSE(unpack(noise, 4096));
}
