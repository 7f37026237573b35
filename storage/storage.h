// Private areas and their root mounts. Two layouts (VE_LAYOUT):
//   dir    VE_PRIVATE is the tree itself ("simfs" in old configs); no limit of its own
//   image  directory "fs" of VE_PRIVATE/root.img, a sparse ext4 file on a loop device ("ploop" in old configs); size =
//          DISKSPACE's hard limit (as statfs shows it), inodes = DISKINODES' hard limit
// The tree is 0-based on disk: ids are shifted by an idmapped mount when a container starts.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "config/spec.h"

namespace vz::storage {

struct Area {
  std::string private_dir;  // VE_PRIVATE
  std::string root_dir;     // VE_ROOT, the mount point
  config::Layout layout = config::Layout::image;
};

struct Quota {
  std::optional<uint64_t> space_kib;  // DISKSPACE hard limit
  std::optional<uint64_t> inodes;     // DISKINODES hard limit
};

struct DiskUsage {
  uint64_t space_kib = 0, space_limit_kib = 0;
  uint64_t inodes = 0, inodes_limit = 0;
};

// What lies there; nullopt when there is nothing that looks like a private area.
std::optional<config::Layout> detect_layout(const std::string& private_dir);
bool area_exists(const std::string& private_dir);

// Makes an empty area: the directory (0700 parents), and for `image` the formatted file. Errors: Code::private_exists,
// Code::diskspace_unset (image without a size), Code::no_space, Code::private_failed. On error nothing is left.
Result<void> create(const Area& area, const Quota& quota);
// Removes it with everything in it; the area must not be mounted. Renames it aside first, so that a kill half-way
// leaves nothing that looks like an area; left-overs of an earlier kill beside it are removed too.
Result<void> destroy(const Area& area);

// Mounts the tree on root_dir (made when missing). Code::mounted when it is already there. Image: journal replay by the
// kernel, discard on. Set-user-id programs have no effect there: root of the guest is not root of the host.
Result<void> mount(const Area& area);
// With what is mounted below it. Code::not_mounted when it is not. Whoever looks up its path makes it busy for a
// moment: busy after PATIENCE is an error naming it.
Result<void> umount(const Area& area, std::chrono::milliseconds patience = std::chrono::milliseconds(500));
bool is_mounted(const Area& area);
// "MAJOR:MINOR" of the whole block device below the mounted root. Code::unsupported when there is none of its own.
Result<std::string> block_device(const Area& area);
// Flushes what was written below the mounted root.
Result<void> sync(const Area& area);
// Before an area just filled is unmounted: all that was written has got into the image file, as far as the host's page
// cache, or it is an error (Code::no_space when the host's file system is full). A sparse file is not refused room
// before.
Result<void> flush_to_image(const Area& area);

// Image: grows (or shrinks) the file and the file system, mounted (growing only) or not. The number of inodes follows
// the size in proportion; quota.inodes is only heeded by create. Growing while mounted needs CAP_SYS_RESOURCE
// (Code::unsupported). dir: Code::unsupported.
Result<void> resize(const Area& area, const Quota& quota);
// Gives the blocks that the file system of a mounted image does not use back to the host's. In KiB on the host's disk.
// Code::unsupported: dir, or a host whose file system cannot take them; Code::compact_failed.
struct Compacted {
  uint64_t before_kib = 0, after_kib = 0;
};
Result<Compacted> compact(const Area& area);
// Mounted: statfs. Not mounted: image from its superblock; dir: walking is too slow, so an error.
Result<DiskUsage> usage(const Area& area);

}  // namespace vz::storage
