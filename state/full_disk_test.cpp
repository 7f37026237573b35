// On a full disk; needs root. Says why when it cannot, and fails instead where VESSEL_MUST_RUN is set.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>

#include "state/moves.h"
#include "state/state.h"
#include "sys/files.h"
#include "sys/mounts.h"
#include "sys/process.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::state;

namespace {

struct SmallDisk : tests::TempDir {
  const bool mounted = ::geteuid() == 0 && sys::mount("small", path, "tmpfs", 0, "size=64k");
  ~SmallDisk() {
    if (mounted) (void)sys::umount(path);
  }
  bool usable() const {
    if (mounted) return true;
    if (std::getenv("VESSEL_MUST_RUN")) FAIL("cannot run: nothing may be mounted");
    std::cout << "skipped: nothing may be mounted\n";
    return false;
  }
  void fill() const {
    const auto fd = sys::open(path + "/ballast", O_WRONLY | O_CREAT, 0600);
    REQUIRE(fd);
    Result<void> written;
    while (written) written = sys::write_all(fd->get(), std::string(4096, 'x'));
    REQUIRE(written.error().disk_full());
  }
};

}  // namespace

TEST_CASE("full disk: a file keeps its old text, and nothing is left beside it") {
  const SmallDisk disk;
  if (!disk.usable()) return;
  const std::string file = disk.path + "/file";
  REQUIRE(sys::replace_file(file, "old"));
  disk.fill();
  const auto replaced = sys::replace_file(file, "new");
  REQUIRE_FALSE(replaced);
  CHECK(replaced.error().sys_errno == ENOSPC);
  CHECK(sys::read_file(file).value_or("") == "old");
  CHECK_FALSE(sys::exists(file + ".tmp"));
}

TEST_CASE("full disk: a container can be locked, by one") {
  const SmallDisk disk;
  if (!disk.usable()) return;
  disk.fill();
  {
    const auto lock = Lock::take(disk.path, 101, "stopping", true);
    REQUIRE(lock);
    const auto second = Lock::take(disk.path, 101, "stopping", true);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == Code::locked);
  }
  CHECK_FALSE(sys::exists(disk.path + "/101.lck"));
  const auto killed = sys::fork_process();
  REQUIRE(killed);
  if (killed->pid == 0) {
    const auto lock = Lock::take(disk.path, 101, "stopping", true);
    ::_exit(lock ? 0 : 1);  // without its destructor
  }
  CHECK(sys::wait_child(killed->pid)->ok());
  const timespec an_hour_ago[2] = {{::time(nullptr) - 3600, 0}, {::time(nullptr) - 3600, 0}};
  REQUIRE(::utimensat(AT_FDCWD, (disk.path + "/101.lck").c_str(), an_hour_ago, 0) == 0);
  CHECK(Lock::take(disk.path, 101, "stopping", true));
}

TEST_CASE("full disk: a move ends as it is decided") {
  const SmallDisk disk;
  if (!disk.usable()) return;
  Paths paths;
  paths.moves_dir = disk.path + "/moves";
  Move move;
  move.id = 101;
  move.name = new_move_name();
  move.state = MoveState::receiving;
  move.peer = "root@beta";
  REQUIRE(begin_move(paths, move));
  disk.fill();
  using enum MoveState;
  for (const auto& [from, to] : {std::pair{receiving, active}, {active, released}}) {
    REQUIRE(advance_move(paths, 101, move.name, from, to));
    const auto record = load_move(paths, 101, move.name);
    REQUIRE(record);
    CHECK(record->state == to);
    CHECK(record->peer == "root@beta");
    CHECK(in_progress(*record));
  }
  CHECK(sys::list_dir(paths.moves_dir)->size() == 1);
  Move other = move;
  other.name = new_move_name();
  CHECK_FALSE(begin_move(paths, other));
  CHECK(moves(paths, 101).size() == 1);
}
