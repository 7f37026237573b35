// The ext4 file system inside an image: how large it must be, how it is made, what its superblock says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::storage::ext4 {

constexpr uint64_t kBlock = 4096;

// What of a file system is not its user's: fixed when it is made, except for the number of blocks.
struct Shape {
  uint64_t inodes_per_group = 0;
  uint64_t journal_blocks = 0;
  uint64_t gdt_blocks = 0;  // the group table with the room it has to grow into while mounted
  uint64_t descriptor_size = 64;
  bool operator==(const Shape&) const = default;
};

// Blocks that statfs(2) does not count as space in a file system of BLOCKS blocks.
uint64_t overhead(const Shape& shape, uint64_t blocks);
// The number of blocks whose statfs(2) size is USABLE blocks, or a little more where ext4 cannot end there.
uint64_t blocks_for(const Shape& shape, uint64_t usable);

struct Plan {
  uint64_t blocks = 0;
  uint64_t inodes = 0;
  uint64_t journal_mib = 0;
  uint64_t max_blocks = 0;  // how far the group table has room
};
// INODES unset: one per 16 KiB. Never more than one per block.
Plan plan(uint64_t usable_kib, std::optional<uint64_t> inodes);
std::vector<std::string> mkfs_argv(const std::string& file, const Plan& plan);

struct Superblock {
  Shape shape;
  uint64_t blocks = 0, free_blocks = 0, overhead_blocks = 0;
  uint64_t inodes = 0, free_inodes = 0;
  uint64_t block_size = 0;
  bool has_errors = false;
};
constexpr size_t kSuperblockEnd = 2048;  // it is the second KiB of the file
// HEAD: the first bytes of the image. Code::invalid when that is no ext4 file system we could handle.
Result<Superblock> parse_superblock(std::string_view head);

}  // namespace vz::storage::ext4
