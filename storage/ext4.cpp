#include "storage/ext4.h"

#include <algorithm>

namespace vz::storage::ext4 {

namespace {

constexpr uint64_t kGroup = 8 * kBlock;  // blocks of a group: one bitmap block's worth
constexpr uint64_t kInodeSize = 256;
constexpr uint64_t kInodesPerBlock = kBlock / kInodeSize;
constexpr uint64_t kMaxReservedGdt = kBlock / 4;  // one indirect block of the resize inode
constexpr uint64_t kMib = (1u << 20) / kBlock;

uint64_t div_up(uint64_t a, uint64_t b) { return (a + b - 1) / b; }

bool power_of(uint64_t n, uint64_t base) {
  while (n % base == 0) n /= base;
  return n == 1;
}

// sparse_super: copies of the superblock lie in groups 0, 1 and the powers of 3, 5 and 7.
bool has_backup(uint64_t group) { return group <= 1 || power_of(group, 3) || power_of(group, 5) || power_of(group, 7); }

uint64_t group_overhead(const Shape& s) { return 2 + div_up(s.inodes_per_group, kInodesPerBlock); }

uint64_t table_blocks(const Shape& s, uint64_t groups) { return div_up(groups * s.descriptor_size, kBlock); }

uint64_t backup_overhead(const Shape& s, uint64_t groups) {
  return 1 + std::max(s.gdt_blocks, table_blocks(s, groups));
}

// ext4(5): on-disk fields are little endian.
uint64_t field(std::string_view head, size_t offset, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = bytes; i-- > 0;) value = value << 8 | static_cast<unsigned char>(head[1024 + offset + i]);
  return value;
}

}  // namespace

uint64_t overhead(const Shape& shape, uint64_t blocks) {
  const uint64_t groups = div_up(blocks, kGroup);
  uint64_t backups = 0;
  for (uint64_t g = 0; g < groups; ++g) backups += has_backup(g);
  return groups * group_overhead(shape) + backups * backup_overhead(shape, groups) + shape.journal_blocks;
}

uint64_t blocks_for(const Shape& shape, uint64_t usable) {
  uint64_t blocks = usable;
  for (int round = 0; round < 64; ++round) {
    const uint64_t next = usable + overhead(shape, blocks);
    if (next <= blocks) break;
    blocks = next;
  }
  // A last group that is hardly larger than its own tables is not made.
  const uint64_t groups = div_up(blocks, kGroup);
  const uint64_t least = group_overhead(shape) + backup_overhead(shape, groups) + 64;
  const uint64_t rest = blocks % kGroup;
  return rest != 0 && rest < least ? blocks - rest + least : blocks;
}

Plan plan(uint64_t usable_kib, std::optional<uint64_t> inodes) {
  const uint64_t usable = std::max(div_up(usable_kib * 1024, kBlock), kMib);
  Plan p;
  p.inodes = std::clamp<uint64_t>(inodes.value_or(usable / 4), 256, usable);
  p.journal_mib = std::clamp<uint64_t>(usable / kMib / 64, 4, 32);
  p.max_blocks = std::max<uint64_t>(16 * usable, (1ull << 40) / kBlock);
  Shape shape;
  shape.journal_blocks = p.journal_mib * kMib;
  // The number of groups depends on the inodes of each, which depend on the number of groups.
  for (int round = 0; round < 8; ++round) {
    const uint64_t groups = div_up(std::max(p.blocks, usable), kGroup);
    shape.inodes_per_group = div_up(div_up(p.inodes, groups), kInodesPerBlock) * kInodesPerBlock;
    shape.gdt_blocks =
        std::min(table_blocks(shape, div_up(p.max_blocks, kGroup)), table_blocks(shape, groups) + kMaxReservedGdt);
    p.blocks = blocks_for(shape, usable);
  }
  return p;
}

std::vector<std::string> mkfs_argv(const std::string& file, const Plan& plan) {
  // Everything is said here, so that no /etc/mke2fs.conf changes what a host makes. The file is new, hence all zeros:
  // mkfs sees that by punching holes and marks the inode tables as done, and the journal need not be written either.
  return {"mkfs.ext4",
          "-q",
          "-F",
          "-b",
          std::to_string(kBlock),
          "-I",
          std::to_string(kInodeSize),
          "-m",
          "0",
          "-e",
          "remount-ro",
          "-N",
          std::to_string(plan.inodes),
          "-J",
          fmt::format("size={}", plan.journal_mib),
          "-E",
          fmt::format("lazy_journal_init=1,root_owner=0:0,resize={}", plan.max_blocks),
          "-O",
          "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,"
          "huge_file,dir_nlink,extra_isize,metadata_csum",
          file,
          std::to_string(plan.blocks)};
}

Result<Superblock> parse_superblock(std::string_view head) {
  if (head.size() < kSuperblockEnd || field(head, 0x38, 2) != 0xEF53) return fail(Code::invalid, "no ext4 file system");
  const bool is_64bit = field(head, 0x60, 4) & 0x80;
  const auto wide = [&](size_t low, size_t high) {
    return field(head, low, 4) | (is_64bit ? field(head, high, 4) << 32 : 0);
  };
  Superblock sb;
  if (field(head, 0x18, 4) > 6) return fail(Code::invalid, "damaged ext4 superblock");
  sb.block_size = 1024ull << field(head, 0x18, 4);
  sb.blocks = wide(0x4, 0x150);
  sb.free_blocks = wide(0xC, 0x158);
  sb.overhead_blocks = field(head, 0x248, 4);
  sb.inodes = field(head, 0x0, 4);
  sb.free_inodes = field(head, 0x10, 4);
  sb.has_errors = field(head, 0x3A, 2) & 0x2;
  sb.shape.inodes_per_group = field(head, 0x28, 4);
  sb.shape.descriptor_size = is_64bit ? field(head, 0xFE, 2) : 32;
  sb.shape.gdt_blocks = table_blocks(sb.shape, div_up(sb.blocks, kGroup)) + field(head, 0xCE, 2);
  // s_jnl_blocks, a copy of the journal's inode: its last words are the size.
  sb.shape.journal_blocks = (field(head, 0x10C + 16 * 4, 4) | field(head, 0x10C + 15 * 4, 4) << 32) / sb.block_size;
  if (sb.blocks == 0 || sb.free_blocks > sb.blocks || sb.free_inodes > sb.inodes || sb.overhead_blocks > sb.blocks)
    return fail(Code::invalid, "damaged ext4 superblock");
  return sb;
}

}  // namespace vz::storage::ext4
