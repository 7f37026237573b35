#include "checkpoint/checkpoint.h"
#include "migrate/migrate.h"
#include "sys/files.h"

namespace vz::migrate {

std::string images_dir(const runtime::Host& host, config::CtId id) {
  return fmt::format("{}/move/{}", host.paths.run_dir, id);
}

Result<void> make_images_dir(const std::string& images) {
  TRY(sys::make_dirs(sys::parent_dir(images), 0700));
  TRY(sys::remove_tree(images));
  return sys::make_dirs(images, checkpoint::kImageDirMode);
}

Result<void> remove_images_dir(const std::string& images) {
  TRY(sys::remove_tree(images));
  (void)sys::remove_dir(sys::parent_dir(images));  // another move may use it
  return {};
}

}  // namespace vz::migrate
