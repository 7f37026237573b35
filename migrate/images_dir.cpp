#include <sys/mount.h>

#include "checkpoint/checkpoint.h"
#include "migrate/migrate.h"
#include "sys/files.h"
#include "sys/mounts.h"

namespace vz::migrate {

std::string images_dir(const runtime::Host& host, config::CtId id) {
  return fmt::format("{}/move/{}", host.paths.run_dir, id);
}

// /run itself is a fifth of the host's memory on Debian: too small for a guest's. As much as there is instead: what is
// in it is the guest's memory, once more, for as long as the move takes.
Result<void> make_images_dir(const std::string& images) {
  TRY(remove_images_dir(images));
  TRY(sys::make_dirs(sys::parent_dir(images), 0700));
  TRY(sys::make_dirs(images, checkpoint::kImageDirMode));
  return sys::mount("vessel-move", images, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                    fmt::format("size=100%,nr_inodes=0,mode={:o}", checkpoint::kImageDirMode));
}

Result<void> remove_images_dir(const std::string& images) {
  if (sys::is_mount_point(images)) TRY(sys::umount_lazy(images));
  TRY(sys::remove_tree(images));
  (void)sys::remove_dir(sys::parent_dir(images));  // another move may use it
  return {};
}

}  // namespace vz::migrate
