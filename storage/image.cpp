#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "storage/ext4.h"
#include "storage/layouts.h"
#include "storage/loop.h"
#include "sys/files.h"
#include "sys/mounts.h"
#include "sys/process.h"

namespace vz::storage::image {

namespace {

using namespace std::chrono_literals;

constexpr const char* kTreeName = "fs";
constexpr auto kMkfsTime = 10min;
constexpr auto kCheckTime = 6h;
constexpr unsigned long kResizeFs = _IOW('f', 16, uint64_t);  // EXT4_IOC_RESIZE_FS; no exported header has it

std::string image_path(const Area& area) { return area.private_dir + "/" + kImageName; }

Result<sys::UniqueFd> open_image(int dir, const std::string& path, int flags) {
  TRY_AS(sys::UniqueFd fd, sys::open_at(dir, path, flags | O_NOFOLLOW | O_NONBLOCK));
  struct ::stat st {};
  if (::fstat(fd.get(), &st) != 0) return fail_sys(errno, "stat '{}'", path);
  if (!S_ISREG(st.st_mode)) return fail(Code::invalid, "'{}' is no regular file", path);
  return fd;
}

// Held by a loop device for as long as the image is mounted anywhere, network file systems included. The last user may
// be a mount namespace that is just dying, hence the patience.
Result<void> lock_image(int fd, const std::string& path, std::chrono::milliseconds patience) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) return fail_sys(errno, "lock '{}'", path);
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(Code::mounted, "'{}' is in use: it is mounted elsewhere or being resized", path);
    std::this_thread::sleep_for(5ms);
  }
  return {};
}

Result<ext4::Superblock> read_superblock(int fd, const std::string& path) {
  char head[ext4::kSuperblockEnd];
  const ssize_t n = ::pread(fd, head, sizeof head, 0);
  if (n < 0) return fail_sys(errno, "read '{}'", path);
  TRY_AS(const auto sb, ext4::parse_superblock(std::string_view(head, static_cast<size_t>(n))), "'{}'", path);
  struct ::stat st {};
  if (::fstat(fd, &st) != 0) return fail_sys(errno, "stat '{}'", path);
  if (sb.blocks > static_cast<uint64_t>(st.st_size) / sb.block_size)
    return fail(Code::invalid, "'{}' is shorter than the file system in it: it was cut off", path);
  return sb;
}

Result<void> set_size(int fd, const std::string& path, uint64_t bytes) {
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) return fail_sys(errno, "set the size of '{}'", path);
  return {};
}

// HOW: "-p" what an unattended boot would do, "-fp" the same although the file system is marked clean.
Result<void> check(const std::string& path, const char* how) {
  sys::Program program;
  program.argv = {"e2fsck", how, path};
  program.timeout = kCheckTime;
  TRY_AS(const auto out, sys::run(program));
  constexpr int kCorrected = 1;
  if (out.status.signal == 0 && out.status.code <= kCorrected) return {};
  return fail(Code::mount_failed, "'{}' is damaged and e2fsck -p could not repair it ({}); run: e2fsck -f {}", path,
              out.status.text(), path);
}

Result<uint64_t> wanted_kib(const Quota& quota) {
  constexpr uint64_t kMaxKib = 16ull << 30;  // 16 TiB, where 32 bit block numbers end
  if (!quota.space_kib || *quota.space_kib >= config::kUnlimited / 1024)
    return fail(Code::diskspace_unset, "an image needs a size: set DISKSPACE (--diskspace)");
  if (*quota.space_kib == 0 || *quota.space_kib > kMaxKib)
    return fail(Code::invalid, "DISKSPACE of {} KiB is not between 1 KiB and 16 TiB", *quota.space_kib);
  return *quota.space_kib;
}

Result<void> grow_mounted(const Area& area, int fd, uint64_t old_bytes, uint64_t blocks) {
  const std::string path = image_path(area);
  TRY_AS(const LoopDevice loop, mounted_loop(area.root_dir));
  TRY_AS(const sys::UniqueFd root, sys::open(area.root_dir, O_RDONLY | O_DIRECTORY));
  TRY(set_size(fd, path, std::max(old_bytes, blocks * ext4::kBlock)));
  TRY(refresh_capacity(loop));
  if (::ioctl(root.get(), kResizeFs, &blocks) == 0) return {};
  const int err = errno;
  // The longer file behind the old file system does no harm; give the space back as far as it goes.
  (void)set_size(fd, path, old_bytes);
  (void)refresh_capacity(loop);
  if (err == EPERM)
    return fail(Code::unsupported,
                "growing '{}' while it is mounted needs CAP_SYS_RESOURCE on this host; stop the CT first", path);
  return fail_sys(err, "grow the file system on '{}'", area.root_dir);
}

Result<void> resize_stored(int fd, const std::string& path, uint64_t old_bytes, uint64_t blocks) {
  TRY(lock_image(fd, path, 0ms));
  TRY(check(path, "-fp"));
  const uint64_t bytes = blocks * ext4::kBlock;
  if (bytes > old_bytes) TRY(set_size(fd, path, bytes));
  sys::Program program;
  program.argv = {"resize2fs", path, std::to_string(blocks)};
  program.timeout = kCheckTime;
  if (auto done = sys::run_ok(program); !done) {
    if (bytes > old_bytes) (void)set_size(fd, path, old_bytes);
    return std::move(done.error());
  }
  return bytes < old_bytes ? set_size(fd, path, bytes) : Result<void>();
}

// The guest's tree is a directory of the image, not its root: criu finds a watched inode by its number alone among all
// mounts, and number 2, the root of every ext4, is also the first directory made in a tmpfs (/run/systemd): a dump made
// with it cannot be restored. Files made before it, and removed after, move the tree's number to where a tmpfs hardly
// gets.
Result<void> make_tree(const std::string& root) {
  constexpr uint64_t kBeyondTmpfs = 4096;
  struct statvfs fs {};
  if (::statvfs(root.c_str(), &fs) != 0) return fail_sys(errno, "statfs '{}'", root);
  const uint64_t count = std::min<uint64_t>(kBeyondTmpfs, fs.f_ffree / 2);
  for (uint64_t i = 0; i < count; ++i)
    TRY(sys::open(fmt::format("{}/.{}", root, i), O_WRONLY | O_CREAT | O_EXCL, 0600));
  TRY(sys::make_dirs(fmt::format("{}/{}", root, kTreeName), 0755));
  for (uint64_t i = 0; i < count; ++i) TRY(sys::remove_file(fmt::format("{}/.{}", root, i)));
  return {};
}

// From the image's root mounted on root_dir to its tree mounted there.
Result<void> show_tree(const std::string& root_dir) {
  const std::string tree = fmt::format("{}/{}", root_dir, kTreeName);
  if (!sys::exists(tree)) TRY(make_tree(root_dir));
  TRY_AS(const sys::UniqueFd detached, sys::clone_tree(tree));
  TRY(sys::umount(root_dir));
  return sys::attach(detached.get(), root_dir);
}

}  // namespace

Result<void> make(const std::string& dir, const Quota& quota) {
  TRY_AS(const uint64_t kib, wanted_kib(quota));
  const ext4::Plan plan = ext4::plan(kib, quota.inodes);
  const std::string path = dir + "/" + kImageName;
  TRY_AS(const sys::UniqueFd fd, sys::open(path, O_RDWR | O_CREAT | O_EXCL, 0600));
  TRY(set_size(fd.get(), path, plan.blocks * ext4::kBlock));
  sys::Program mkfs;
  mkfs.argv = ext4::mkfs_argv(path, plan);
  mkfs.env = {"MKE2FS_CONFIG=/nonexistent"};
  mkfs.timeout = kMkfsTime;
  TRY(sys::run_ok(mkfs));
  return {};
}

Result<void> mount(const Area& area) {
  const std::string path = image_path(area);
  // Every container reads in /sys the path of each loop device's file. It ends at the top of the mount that the file
  // was opened in: in one of its own, /root.img names nobody.
  TRY_AS(const sys::UniqueFd place, sys::clone_tree(area.private_dir));
  TRY_AS(const sys::UniqueFd fd, open_image(place.get(), kImageName, O_RDWR));
  TRY(lock_image(fd.get(), path, 2s));
  TRY_AS(const auto sb, read_superblock(fd.get(), path));
  if (sb.has_errors) TRY(check(path, "-p"));
  TRY_AS(const LoopDevice loop, attach_loop(fd.get(), std::min(sb.block_size, ext4::kBlock)));
  TRY(sys::mount(loop.path, area.root_dir, "ext4", 0, "discard"));
  auto shown = show_tree(area.root_dir);
  if (!shown) (void)sys::umount(area.root_dir);
  return shown;
}

bool is_half_mounted(const Area& area) {
  constexpr ino_t kExt4Root = 2;
  const auto st = sys::stat(area.root_dir);
  return sys::is_mount_point(area.root_dir) && st && st->st_ino == kExt4Root;
}

Result<void> flush(const Area& area) {
  // Without barriers: the loop device would answer each of them by an fsync of the image.
  TRY(sys::mount("none", area.root_dir, "", MS_REMOUNT, "nobarrier"));
  auto flushed = sys::sync_fs(area.root_dir);
  if (flushed) return {};
  struct statvfs fs {};
  constexpr uint64_t kFull = 4u << 20;
  const bool full = ::statvfs(area.private_dir.c_str(), &fs) == 0 && fs.f_bavail * fs.f_frsize < kFull;
  if (full) return fail(Code::no_space, "no space is left on the file system of '{}'", area.private_dir);
  return std::move(flushed.error()).context(fmt::format("write '{}'", image_path(area)));
}

Result<void> resize(const Area& area, const Quota& quota, bool mounted) {
  const std::string path = image_path(area);
  TRY_AS(const uint64_t kib, wanted_kib(quota));
  TRY_AS(const sys::UniqueFd fd, open_image(AT_FDCWD, path, O_RDWR));
  TRY_AS(const auto sb, read_superblock(fd.get(), path));
  if (sb.block_size != ext4::kBlock || sb.shape.journal_blocks >= sb.blocks)
    return fail(Code::unsupported, "'{}' was not made by vessel; use resize2fs", path);
  TRY_AS(const struct ::stat st, sys::stat(path));
  const auto old_bytes = static_cast<uint64_t>(st.st_size);
  const uint64_t blocks = ext4::blocks_for(sb.shape, (kib * 1024 + ext4::kBlock - 1) / ext4::kBlock);
  if (blocks == sb.blocks) return {};
  if (!mounted) return resize_stored(fd.get(), path, old_bytes, blocks);
  if (blocks < sb.blocks)
    return fail(Code::resize_failed, "'{}' is mounted and can only grow; stop the CT first", path);
  return grow_mounted(area, fd.get(), old_bytes, blocks);
}

Result<Compacted> compact(const Area& area) {
  const auto kib_on_disk = [path = image_path(area)]() -> Result<uint64_t> {
    TRY_AS(const struct ::stat st, sys::stat(path));
    return static_cast<uint64_t>(st.st_blocks) / 2;
  };
  // What is not written yet would be allocated behind our back.
  TRY(sys::sync_fs(area.root_dir));
  Compacted out;
  TRY_AS(out.before_kib, kib_on_disk());
  TRY_AS(const sys::UniqueFd root, sys::open(area.root_dir, O_RDONLY | O_DIRECTORY));
  fstrim_range all{.start = 0, .len = UINT64_MAX, .minlen = 0};
  if (::ioctl(root.get(), FITRIM, &all) != 0) {
    if (errno == EOPNOTSUPP)
      return fail(Code::unsupported, "the file system below '{}' cannot punch holes: nothing can be given back",
                  image_path(area));
    return fail_sys(errno, "trim '{}'", area.root_dir);
  }
  TRY_AS(out.after_kib, kib_on_disk());
  return out;
}

Result<DiskUsage> stored_usage(const Area& area) {
  TRY_AS(const sys::UniqueFd fd, open_image(AT_FDCWD, image_path(area), O_RDONLY));
  TRY_AS(const auto sb, read_superblock(fd.get(), image_path(area)));
  // resize2fs leaves the stored overhead as it was; the next mount puts it right.
  const bool ours = sb.block_size == ext4::kBlock && sb.shape.journal_blocks < sb.blocks;
  const uint64_t usable =
      sb.blocks - std::min(sb.blocks, ours ? ext4::overhead(sb.shape, sb.blocks) : sb.overhead_blocks);
  DiskUsage usage;
  usage.space_limit_kib = usable * sb.block_size / 1024;
  usage.space_kib = (usable - std::min(usable, sb.free_blocks)) * sb.block_size / 1024;
  usage.inodes_limit = sb.inodes;
  usage.inodes = sb.inodes - sb.free_inodes;
  return usage;
}

bool in_use(const Area& area) {
  const auto fd = open_image(AT_FDCWD, image_path(area), O_RDWR);
  return fd && ::flock(fd->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace vz::storage::image
