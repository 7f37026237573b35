#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/aside.h"
#include "storage/layouts.h"
#include "storage/storage.h"
#include "sys/files.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::storage;
using config::Layout;
using tests::TempDir;

namespace {

void touch(const std::string& path, mode_t mode) {
  REQUIRE(sys::open(path, O_WRONLY | O_CREAT, mode));
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

Area dir_area(const TempDir& t) { return Area{t.path + "/private/1", t.path + "/root/1", Layout::dir}; }

}  // namespace

TEST_CASE("detect: nothing, a tree, an image") {
  const TempDir t;
  CHECK_FALSE(area_exists(t.path + "/absent"));
  CHECK_FALSE(area_exists(t.path));
  touch(t.path + "/root.img", 0600);
  CHECK(detect_layout(t.path) == Layout::image);
  REQUIRE(sys::make_dirs(t.path + "/etc"));
  CHECK(detect_layout(t.path) == Layout::dir);
}

TEST_CASE("detect: what a guest can put into its root directory is no image") {
  const TempDir t;
  touch(t.path + "/root.img", 0644);
  CHECK(detect_layout(t.path) == Layout::dir);
  REQUIRE(::chmod((t.path + "/root.img").c_str(), 0600) == 0);
  REQUIRE(::chmod(t.path.c_str(), 0755) == 0);
  CHECK(detect_layout(t.path) == Layout::dir);
  REQUIRE(::chmod(t.path.c_str(), 0700) == 0);
  REQUIRE(sys::remove_file(t.path + "/root.img"));
  REQUIRE(::symlink("/dev/sda", (t.path + "/root.img").c_str()) == 0);
  CHECK(detect_layout(t.path) == Layout::dir);
}

TEST_CASE("dir: create and destroy leave nothing") {
  const TempDir t;
  const Area area = dir_area(t);
  REQUIRE(create(area, {}));
  const auto st = sys::stat(area.private_dir);
  REQUIRE(st);
  CHECK((st->st_mode & 07777) == 0755);
  CHECK((sys::stat(t.path + "/private")->st_mode & 07777) == 0700);
  touch(area.private_dir + "/file", 0600);
  CHECK(detect_layout(area.private_dir) == Layout::dir);
  const auto again = create(area, {});
  REQUIRE_FALSE(again);
  CHECK(again.error().code == Code::private_exists);
  REQUIRE(destroy(area));
  CHECK(sys::list_dir(t.path + "/private")->empty());
  CHECK(destroy(area).error().code == Code::no_private);
}

TEST_CASE("dir: a guest's own root.img does not make an image of it") {
  if (::geteuid() != 0) return;
  const TempDir t;
  const Area area = dir_area(t);
  REQUIRE(create(area, {}));
  touch(area.private_dir + "/root.img", 0600);
  REQUIRE(::chmod(area.private_dir.c_str(), 0700) == 0);
  CHECK(detect_layout(area.private_dir) == Layout::dir);
}

TEST_CASE("create: an empty directory is taken, a file in the way is not") {
  const TempDir t;
  const Area area = dir_area(t);
  REQUIRE(sys::make_dirs(area.private_dir));
  REQUIRE(create(area, {}));
  REQUIRE(destroy(area));
  touch(area.private_dir, 0600);
  CHECK_FALSE(create(area, {}));
  CHECK(sys::list_dir(t.path + "/private")->size() == 1);
}

TEST_CASE("create: an image needs a size, and failing leaves nothing") {
  const TempDir t;
  Area area = dir_area(t);
  area.layout = Layout::image;
  CHECK(create(area, {}).error().code == Code::diskspace_unset);
  CHECK(create(area, {config::kUnlimited, {}}).error().code == Code::diskspace_unset);
  CHECK(create(area, {uint64_t{1} << 40, {}}).error().code == Code::invalid);
  CHECK(create(area, {uint64_t{0}, {}}).error().code == Code::invalid);
  CHECK(sys::list_dir(t.path + "/private")->empty());
}

TEST_CASE("destroy: a private area on another disk goes with its link") {
  const TempDir t;
  const Area area = dir_area(t);
  REQUIRE(sys::make_dirs(t.path + "/private", 0700));
  REQUIRE(sys::make_dirs(t.path + "/disk/tree", 0700));
  REQUIRE(::symlink((t.path + "/disk/tree").c_str(), area.private_dir.c_str()) == 0);
  touch(t.path + "/disk/tree/file", 0600);
  REQUIRE(destroy(area));
  CHECK(sys::list_dir(t.path + "/private")->empty());
  CHECK(sys::list_dir(t.path + "/disk")->empty());
}

TEST_CASE("destroy: a tree deeper than we have descriptors") {
  const TempDir t;
  const Area area = dir_area(t);
  REQUIRE(create(area, {}));
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few{128, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
  auto at = sys::open(area.private_dir, O_RDONLY | O_DIRECTORY);
  for (int depth = 0; at && depth < 300; ++depth) {
    REQUIRE(::mkdirat(at->get(), "d", 0700) == 0);
    at = sys::open_at(at->get(), "d", O_RDONLY | O_DIRECTORY);
  }
  REQUIRE(at);
  CHECK(destroy(area));
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(sys::list_dir(t.path + "/private")->empty());
}

TEST_CASE("sweep: left-overs of the dead go, what is in the making stays") {
  const TempDir t;
  const auto living = make_aside(t.path);
  REQUIRE(living);
  REQUIRE(sys::make_dirs(t.path + "/.vz-new-abcdef/x/y"));
  REQUIRE(sys::make_dirs(t.path + "/.vz-rm-abcdef/x/y"));
  REQUIRE(sys::make_dirs(t.path + "/1/x"));
  REQUIRE(sweep_aside(t.path));
  CHECK(sys::exists(living->path));
  CHECK(sys::list_dir(t.path)->size() == 2);
}

TEST_CASE("usage and resize of a directory are refused by name") {
  const TempDir t;
  const Area area = dir_area(t);
  REQUIRE(create(area, {}));
  CHECK(usage(area).error().code == Code::not_mounted);
  CHECK(resize(area, {uint64_t{1} << 20, {}}).error().code == Code::unsupported);
  CHECK(umount(area).error().code == Code::not_mounted);
}
