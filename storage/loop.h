// Loop devices by ioctl.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::storage {

// The device lives as long as somebody has it open or mounted, then it goes by itself (autoclear).
struct LoopDevice {
  std::string path;
  sys::UniqueFd fd;
};

// Puts the open file behind a free loop device, with direct I/O where its file system can do that. The device keeps the
// open file description, and with it any flock(2) taken on IMAGE_FD.
Result<LoopDevice> attach_loop(int image_fd, uint64_t block_size);
// The loop device that carries the file system mounted at ROOT_DIR. Code::not_found when there is none.
Result<LoopDevice> mounted_loop(const std::string& root_dir);
// The file behind it changed its size.
Result<void> refresh_capacity(const LoopDevice& loop);

}  // namespace vz::storage
