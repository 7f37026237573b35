#include "storage/ext4.h"

#include "tests/catch.h"

using namespace vz;
using namespace vz::storage;

namespace {

void put(std::string& head, size_t offset, size_t bytes, uint64_t value) {
  for (size_t i = 0; i < bytes; ++i, value >>= 8) head[1024 + offset + i] = static_cast<char>(value & 0xff);
}

// A superblock as mkfs makes it for 10 GiB with 655360 inodes.
std::string sample() {
  std::string head(ext4::kSuperblockEnd, '\0');
  put(head, 0x38, 2, 0xEF53);
  put(head, 0x0, 4, 655360);
  put(head, 0x4, 4, 2621440);
  put(head, 0xC, 4, 2570961);
  put(head, 0x10, 4, 655349);
  put(head, 0x18, 4, 2);
  put(head, 0x28, 4, 8192);
  put(head, 0x3A, 2, 1);
  put(head, 0x60, 4, 0x80);
  put(head, 0xCE, 2, 126);
  put(head, 0xFE, 2, 64);
  put(head, 0x10C + 64, 4, 32u << 20);
  put(head, 0x248, 4, 50473);
  return head;
}

}  // namespace

TEST_CASE("ext4: overhead as the kernel counts it") {
  const auto sb = ext4::parse_superblock(sample());
  REQUIRE(sb);
  CHECK(sb->shape == ext4::Shape{8192, 8192, 128, 64});
  CHECK(ext4::overhead(sb->shape, sb->blocks) == 50473);
}

TEST_CASE("ext4: the usable size is what was asked for, whatever it is") {
  for (const uint64_t kib :
       {1ull << 14, 1ull << 20, 2306867ull, 10ull << 20, 100ull << 20, 1ull << 30, 12345678901ull}) {
    for (const std::optional<uint64_t> inodes : {std::optional<uint64_t>(), std::optional<uint64_t>(200000)}) {
      const ext4::Plan p = ext4::plan(kib, inodes);
      const ext4::Shape shape{(p.inodes / ((p.blocks + 32767) / 32768) + 31) / 16 * 16, p.journal_mib * 256, 128, 64};
      const uint64_t usable = p.blocks - ext4::overhead(shape, p.blocks);
      CAPTURE(kib, p.blocks, usable);
      CHECK(usable + usable / 50 >= kib / 4);
      CHECK(p.blocks > kib / 4);
    }
  }
}

TEST_CASE("ext4: growing to the present size changes nothing") {
  const auto sb = ext4::parse_superblock(sample());
  REQUIRE(sb);
  CHECK(ext4::blocks_for(sb->shape, sb->blocks - sb->overhead_blocks) == sb->blocks);
  CHECK(ext4::blocks_for(sb->shape, 2 * sb->blocks) > 2 * sb->blocks);
}

TEST_CASE("ext4: a last group too small to be made is avoided") {
  const ext4::Shape shape{8192, 4096, 128, 64};
  const uint64_t fits = 4 * 32768 - ext4::overhead(shape, 4 * 32768);
  for (uint64_t extra : {0u, 1u, 10u, 600u, 5000u}) {
    const uint64_t blocks = ext4::blocks_for(shape, fits + extra);
    const uint64_t rest = blocks % 32768;
    CHECK((rest == 0 || rest > 514));
    CHECK(blocks - ext4::overhead(shape, blocks) >= fits + extra);
  }
}

TEST_CASE("ext4: inodes are bounded") {
  CHECK(ext4::plan(1 << 20, 1).inodes == 256);
  CHECK(ext4::plan(1 << 20, UINT64_MAX).inodes == (1 << 20) / 4);
  CHECK(ext4::plan(1 << 20, std::nullopt).inodes == (1 << 20) / 16);
}

TEST_CASE("ext4: superblocks that are none") {
  CHECK_FALSE(ext4::parse_superblock(""));
  CHECK_FALSE(ext4::parse_superblock(std::string(ext4::kSuperblockEnd, '\0')));
  CHECK_FALSE(ext4::parse_superblock(sample().substr(0, 1500)));
  std::string bad = sample();
  put(bad, 0x18, 4, 60);
  CHECK_FALSE(ext4::parse_superblock(bad));
  bad = sample();
  put(bad, 0xC, 4, 0xffffffff);
  CHECK_FALSE(ext4::parse_superblock(bad));
  bad = sample();
  put(bad, 0x3A, 2, 3);
  const auto sb = ext4::parse_superblock(bad);
  REQUIRE(sb);
  CHECK(sb->has_errors);
}
