#include "storage/loop.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "sys/files.h"

namespace vz::storage {

namespace {

constexpr int kAttempts = 64;

Result<LoopDevice> open_loop(unsigned number) {
  LoopDevice loop;
  loop.path = fmt::format("/dev/loop{}", number);
  TRY_AS(loop.fd, sys::open(loop.path, O_RDWR));
  return loop;
}

}  // namespace

Result<LoopDevice> attach_loop(int image_fd, uint64_t block_size) {
  TRY_AS(const sys::UniqueFd control, sys::open("/dev/loop-control", O_RDWR), "loop devices");
  loop_config config{};
  config.fd = static_cast<uint32_t>(image_fd);
  config.block_size = static_cast<uint32_t>(block_size);
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
  // "Free" is only a hint: somebody else may configure or remove the device before we do.
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return fail_sys(errno, "find a free loop device");
    auto loop = open_loop(static_cast<unsigned>(number));
    if (!loop && loop.error().sys_errno == ENXIO) continue;
    if (!loop) return std::move(loop.error());
    if (::ioctl(loop->fd.get(), LOOP_CONFIGURE, &config) == 0) return loop;
    if (errno != EBUSY && errno != ENXIO) return fail_sys(errno, "configure '{}'", loop->path);
  }
  return fail(Code::system, "no free loop device: others took each of {} first", kAttempts);
}

Result<LoopDevice> mounted_loop(const std::string& root_dir) {
  TRY_AS(const struct ::stat st, sys::stat(root_dir));
  constexpr unsigned kLoopMajor = 7;
  if (major(st.st_dev) != kLoopMajor) return fail(Code::not_found, "no loop device is mounted on '{}'", root_dir);
  return open_loop(minor(st.st_dev));
}

Result<void> refresh_capacity(const LoopDevice& loop) {
  if (::ioctl(loop.fd.get(), LOOP_SET_CAPACITY, 0) != 0) return fail_sys(errno, "refresh the size of '{}'", loop.path);
  return {};
}

}  // namespace vz::storage
