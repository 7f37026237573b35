// Real loop devices and mounts; needs root. Says why when it cannot, and fails instead where VESSEL_MUST_RUN is set.
#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <thread>

#include "storage/layouts.h"
#include "storage/loop.h"
#include "storage/storage.h"
#include "sys/files.h"
#include "sys/mounts.h"
#include "sys/process.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::storage;
using config::Layout;
using tests::TempDir;

namespace {

bool can_run() {
  std::string why;
  if (::geteuid() != 0)
    why = "not root";
  else if (!sys::open("/dev/loop-control", O_RDWR))
    why = "no loop devices (/dev/loop-control)";
  if (why.empty()) return true;
  if (std::getenv("VESSEL_MUST_RUN")) FAIL("cannot run: " << why);
  std::cout << "skipped: " << why << "\n";
  return false;
}

// Unmounts whatever a failed test left.
struct LiveArea {
  TempDir dir;
  Area area;
  explicit LiveArea(Layout layout) : area{dir.path + "/private/1", dir.path + "/root/1", layout} {}
  ~LiveArea() { (void)umount(area); }
};

class Timer {
 public:
  explicit Timer(const char* what) : what_(what) {}
  ~Timer() {
    const auto ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_).count();
    std::cout << fmt::format("{:<28} {:8.1f} ms\n", what_, ms);
  }

 private:
  const char* what_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// errno of the write that failed, 0 when MIB were written.
int fill(const std::string& path, unsigned mib) {
  const auto fd = sys::open(path, O_WRONLY | O_CREAT, 0600);
  if (!fd) return fd.error().sys_errno;
  const std::string chunk(1 << 20, 'x');
  for (unsigned i = 0; i < mib; ++i)
    if (auto r = sys::write_all(fd->get(), chunk); !r) return r.error().sys_errno;
  return ::fsync(fd->get()) == 0 ? 0 : errno;
}

uint64_t on_disk_kib(const std::string& path) { return static_cast<uint64_t>(sys::stat(path)->st_blocks) / 2; }

std::string image_of(const Area& a) { return a.private_dir + "/" + kImageName; }

// What /sys shows of the loop device of PATH; nullopt: it has none.
std::optional<std::string> shown_by_loop(const std::string& path) {
  const auto image = sys::stat(path);
  const auto devices = sys::list_dir("/sys/block");
  for (const std::string& name : *devices) {
    loop_info64 info{};
    if (!name.starts_with("loop")) continue;
    const auto fd = sys::open("/dev/" + name, O_RDONLY);
    if (!fd || ::ioctl(fd->get(), LOOP_GET_STATUS64, &info) != 0) continue;
    if (info.lo_inode != image->st_ino || info.lo_device != image->st_dev) continue;
    return sys::read_file("/sys/block/" + name + "/loop/backing_file").value_or("");
  }
  return std::nullopt;
}

}  // namespace

TEST_CASE("live image: made, mounted, unmounted, destroyed") {
  if (!can_run()) return;
  const LiveArea live(Layout::image);
  const Area& a = live.area;
  constexpr uint64_t kKib = 10ull << 20;
  const auto timed = [](const char* what, auto&& step) {
    const Timer timer(what);
    return step();
  };
  REQUIRE(timed("create 10 GiB image", [&] { return create(a, {kKib, uint64_t{220000}}); }));
  CHECK(detect_layout(a.private_dir) == Layout::image);
  CHECK(on_disk_kib(image_of(a)) < 4096);
  const auto stored = usage(a);
  REQUIRE(stored);
  REQUIRE(timed("mount", [&] { return mount(a); }));
  CHECK(is_mounted(a));
  CHECK(shown_by_loop(image_of(a)) == "/root.img\n");
  CHECK(mount(a).error().code == Code::mounted);
  CHECK(destroy(a).error().code == Code::mounted);
  CHECK(resize(a, {kKib / 2, {}}).error().code == Code::resize_failed);
  const auto now = usage(a);
  REQUIRE(now);
  CHECK(now->space_limit_kib >= kKib);
  CHECK(now->space_limit_kib <= kKib + 1024);
  CHECK(now->inodes_limit >= 220000);
  CHECK(now->inodes_limit < 222000);
  CHECK(now->space_limit_kib == stored->space_limit_kib);
  CHECK(now->inodes_limit == stored->inodes_limit);
  CHECK(now->inodes == stored->inodes + 1);  // the guest's tree
  CHECK(now->space_kib < 256);
  REQUIRE(timed("write 64 MiB and sync", [&] { return fill(a.root_dir + "/file", 64); }) == 0);
  REQUIRE(timed("sync", [&] { return sync(a); }));
  REQUIRE(timed("umount", [&] { return umount(a); }));
  CHECK(umount(a).error().code == Code::not_mounted);
  CHECK_FALSE(shown_by_loop(image_of(a)));
  CHECK(usage(a)->space_kib >= 64 * 1024);
  REQUIRE(timed("destroy", [&] { return destroy(a); }));
  CHECK(sys::list_dir(live.dir.path + "/private")->empty());
  CHECK_FALSE(sys::exists(a.root_dir));
}

TEST_CASE("live image: sizes small and large show as asked") {
  if (!can_run()) return;
  for (const uint64_t kib : {16ull << 10, 512ull << 10, 2306867ull, 100ull << 20, 1ull << 30}) {
    const LiveArea live(Layout::image);
    REQUIRE(create(live.area, {kib, {}}));
    REQUIRE(mount(live.area));
    const auto now = usage(live.area);
    REQUIRE(now);
    CAPTURE(kib, now->space_limit_kib, now->inodes_limit);
    CHECK(now->space_limit_kib >= kib);
    CHECK(now->space_limit_kib <= kib + kib / 100 + 4096);
    REQUIRE(umount(live.area));
    REQUIRE(destroy(live.area));
  }
}

TEST_CASE("live image: full is full inside, and nowhere else") {
  if (!can_run()) return;
  const LiveArea live(Layout::image);
  REQUIRE(create(live.area, {uint64_t{64} << 10, uint64_t{300}}));
  REQUIRE(mount(live.area));
  CHECK(fill(live.area.root_dir + "/file", 80) == ENOSPC);
  const auto full = usage(live.area);
  CHECK(full->space_limit_kib - full->space_kib < 16 * 1024);
  CHECK(on_disk_kib(image_of(live.area)) < 72 * 1024);
  REQUIRE(sys::remove_file(live.area.root_dir + "/file"));
  REQUIRE(sync(live.area));
  // What is deleted inside is given back outside, some time after the journal has it.
  for (int i = 0; i < 200 && on_disk_kib(image_of(live.area)) >= 8 * 1024; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK(on_disk_kib(image_of(live.area)) < 8 * 1024);
  int err = 0;
  for (int i = 0; i < 400 && err == 0; ++i) err = fill(live.area.root_dir + "/" + std::to_string(i), 0);
  CHECK(err == ENOSPC);
  REQUIRE(umount(live.area));
  REQUIRE(destroy(live.area));
}

TEST_CASE("live image: a mount that was killed half-way is no mount") {
  if (!can_run()) return;
  LiveArea live(Layout::image);
  const Area& a = live.area;
  REQUIRE(create(a, {uint64_t{64} << 10, {}}));
  const auto half_mount = [&] {
    sys::Program program;
    program.argv = {"mount", "-o", "loop", a.private_dir + "/" + kImageName, a.root_dir};
    REQUIRE(sys::run_ok(program));
    CHECK_FALSE(is_mounted(a));
  };
  REQUIRE(sys::make_dirs(a.root_dir));
  half_mount();
  REQUIRE(mount(a));
  CHECK(is_mounted(a));
  REQUIRE(umount(a));
  half_mount();
  CHECK(destroy(a));
}

TEST_CASE("live image: grown and shrunk while not mounted") {
  if (!can_run()) return;
  const LiveArea live(Layout::image);
  REQUIRE(create(live.area, {uint64_t{256} << 10, {}}));
  REQUIRE(mount(live.area));
  REQUIRE(fill(live.area.root_dir + "/file", 100) == 0);
  REQUIRE(umount(live.area));
  for (const uint64_t mib : {3000u, 200u, 50u}) {
    const auto done = resize(live.area, {mib << 10, {}});
    if (mib == 50) {
      REQUIRE_FALSE(done);
      CHECK(done.error().code == Code::resize_failed);
      continue;
    }
    REQUIRE(done);
    const auto stored = usage(live.area);
    REQUIRE(mount(live.area));
    const auto now = usage(live.area);
    CAPTURE(mib, now->space_limit_kib, stored->space_limit_kib);
    CHECK(now->space_limit_kib >= mib << 10);
    CHECK(now->space_limit_kib <= (mib << 10) + (mib << 10) / 50 + 4096);
    CHECK(now->space_limit_kib == stored->space_limit_kib);
    CHECK(sys::stat(live.area.root_dir + "/file")->st_size == 100 << 20);
    REQUIRE(umount(live.area));
  }
  REQUIRE(destroy(live.area));
}

TEST_CASE("live image: grown while mounted") {
  if (!can_run()) return;
  const LiveArea live(Layout::image);
  REQUIRE(create(live.area, {uint64_t{256} << 10, {}}));
  REQUIRE(mount(live.area));
  const auto done = resize(live.area, {uint64_t{1} << 20, {}});
  if (!done && done.error().code == Code::unsupported) {
    std::cout << "skipped: " << done.error().text << "\n";
    CHECK(sys::stat(image_of(live.area))->st_size < 512 << 20);
  } else {
    REQUIRE(done);
    CHECK(usage(live.area)->space_limit_kib >= 1 << 20);
    CHECK(fill(live.area.root_dir + "/file", 600) == 0);
  }
  REQUIRE(umount(live.area));
  REQUIRE(mount(live.area));
  REQUIRE(umount(live.area));
  REQUIRE(destroy(live.area));
}

TEST_CASE("live image: never mounted twice, cut-off and marked images") {
  if (!can_run()) return;
  const LiveArea live(Layout::image);
  REQUIRE(create(live.area, {uint64_t{64} << 10, {}}));
  REQUIRE(mount(live.area));
  Area elsewhere = live.area;
  elsewhere.root_dir += "-b";
  CHECK(mount(elsewhere).error().code == Code::mounted);
  CHECK_FALSE(sys::exists(elsewhere.root_dir));
  CHECK(resize(elsewhere, {uint64_t{128} << 10, {}}).error().code == Code::mounted);
  CHECK(destroy(elsewhere).error().code == Code::mounted);
  REQUIRE(umount(live.area));

  const auto image = sys::open(image_of(live.area), O_RDWR);
  REQUIRE(image);
  const char errors_found = 3;
  REQUIRE(::pwrite(image->get(), &errors_found, 1, 1024 + 0x3A) == 1);  // s_state; the checksum is wrong now, too
  REQUIRE_FALSE(mount(live.area));
  CHECK_FALSE(shown_by_loop(image_of(live.area)));
  const char clean = 1;
  REQUIRE(::pwrite(image->get(), &clean, 1, 1024 + 0x3A) == 1);
  REQUIRE(mount(live.area));
  REQUIRE(umount(live.area));
  REQUIRE(::ftruncate(image->get(), 1 << 20) == 0);
  CHECK(mount(live.area).error().code == Code::invalid);
  REQUIRE(destroy(live.area));
}

TEST_CASE("live image: a crash needs no more than the journal") {
  if (!can_run()) return;
  const LiveArea live(Layout::image);
  REQUIRE(create(live.area, {uint64_t{64} << 10, {}}));
  REQUIRE(mount(live.area));
  REQUIRE(fill(live.area.root_dir + "/file", 5) == 0);
  // The state of the disk at this moment is what a power cut leaves.
  const LiveArea crashed(Layout::image);
  REQUIRE(sys::make_dirs(crashed.area.private_dir, 0700));
  sys::Program copy;
  copy.argv = {"cp", "--sparse=always", image_of(live.area), image_of(crashed.area)};
  REQUIRE(sys::run_ok(copy));
  REQUIRE(umount(live.area));
  REQUIRE(mount(crashed.area));
  CHECK(sys::stat(crashed.area.root_dir + "/file")->st_size == 5 << 20);
  REQUIRE(umount(crashed.area));
  REQUIRE(destroy(live.area));
}

TEST_CASE("live dir: bind mount") {
  if (!can_run()) return;
  const LiveArea live(Layout::dir);
  REQUIRE(create(live.area, {}));
  REQUIRE(mount(live.area));
  CHECK(fill(live.area.root_dir + "/file", 1) == 0);
  CHECK(sys::exists(live.area.private_dir + "/file"));
  CHECK(usage(live.area));
  const auto held = sys::open(live.area.root_dir + "/file", O_RDONLY);
  const auto busy = umount(live.area);
  REQUIRE_FALSE(busy);
  CHECK(busy.error().sys_errno == EBUSY);
  CHECK(busy.error().code == Code::umount_failed);
}

TEST_CASE("live dir: unmounted by two at once, and while others look") {
  if (!can_run()) return;
  const LiveArea live(Layout::dir);
  REQUIRE(create(live.area, {}));
  for (int round = 0; round < 100; ++round) {
    REQUIRE(mount(live.area));
    int done = 0, late = 0;
    std::atomic<bool> over = false;
    std::thread looks([&] {
      while (!over) (void)sys::exists(live.area.root_dir + "/file");
    });
    Result<void> other;
    std::thread unmounts([&] { other = umount(live.area); });
    const auto one = umount(live.area);
    unmounts.join();
    over = true;
    looks.join();
    for (const auto& r : {one, other}) {
      if (!r) CHECK(r.error().code == Code::not_mounted);
      ++(r ? done : late);
    }
    CHECK(done == 1);
    CHECK(late == 1);
    REQUIRE_FALSE(is_mounted(live.area));
  }
}
