#include "state/moves.h"

#include <sys/wait.h>
#include <unistd.h>

#include "sys/process.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::state;

namespace {

struct Journal : tests::TempDir {
  Paths paths;
  const std::string name = new_move_name();
  Journal() { paths.moves_dir = path + "/moves"; }
  void begin(MoveState state, config::CtId id = 101) const {
    Move m;
    m.id = id;
    m.name = name;
    m.state = state;
    m.peer = "root@beta";
    m.ssh_options = "'-o' 'Port=2222' \"";
    m.start_again = m.sudo = true;
    REQUIRE(begin_move(paths, m));
  }
  Result<void> advance(MoveState from, MoveState to, bool durable = true) const {
    return advance_move(paths, 101, name, from, to, durable);
  }
};

}  // namespace

TEST_CASE("moves: a record says everything again") {
  const Journal j;
  j.begin(MoveState::moving);
  const auto m = load_move(j.paths, 101, j.name);
  REQUIRE(m);
  CHECK(m->state == MoveState::moving);
  CHECK(m->peer == "root@beta");
  CHECK(m->ssh_options == "'-o' 'Port=2222' \"");
  CHECK(m->start_again);
  CHECK(m->sudo);
  CHECK_FALSE(m->was_mounted);
  CHECK(m->remove_area);
  CHECK(m->process == ::getpid());
  CHECK(in_progress(*m));
  CHECK(is_source(*m));
}

TEST_CASE("moves: a record changes only from the state that is believed") {
  const Journal j;
  j.begin(MoveState::receiving);
  CHECK(j.advance(MoveState::receiving, MoveState::aborted));
  const auto late = j.advance(MoveState::receiving, MoveState::active);
  REQUIRE_FALSE(late);
  CHECK(late.error().code == Code::in_doubt);
  CHECK(load_move(j.paths, 101, j.name)->state == MoveState::aborted);
  REQUIRE(forget_move(j.paths, 101, j.name));
  const auto gone = j.advance(MoveState::aborted, MoveState::active);
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Code::not_found);
}

TEST_CASE("moves: of many that decide at once one decides") {
  const Journal j;
  for (int round = 0; round < 20; ++round) {
    j.begin(MoveState::active);
    std::vector<pid_t> deciders;
    for (int i = 0; i < 8; ++i) {
      const pid_t pid = ::fork();
      REQUIRE(pid >= 0);
      if (pid == 0)
        ::_exit(j.advance(MoveState::active, i % 2 ? MoveState::released : MoveState::aborted, i % 3) ? 0 : 1);
      deciders.push_back(pid);
    }
    int won = 0;
    for (const pid_t pid : deciders) {
      int status = 0;
      REQUIRE(::waitpid(pid, &status, 0) == pid);
      won += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    CHECK(won == 1);
  }
}

TEST_CASE("moves: listed by container, and nothing else is a record") {
  const Journal j;
  CHECK(moves(j.paths, 101).empty());
  j.begin(MoveState::moving, 101);
  j.begin(MoveState::released, 102);
  for (const char* file : {"103.short", "x", "104.", "101.0123456789abcdef0123456789abcdef"})
    REQUIRE(sys::replace_file(j.paths.moves_dir + "/" + file, "no record"));
  CHECK(moves(j.paths, 101).size() == 1);
  CHECK(moves(j.paths, 0).size() == 2);
  CHECK_FALSE(load_move(j.paths, 101, "0123456789abcdef0123456789abcdef"));
}

TEST_CASE("moves: names are no paths") {
  CHECK(valid_move_name(new_move_name()));
  CHECK(new_move_name() != new_move_name());
  CHECK_FALSE(valid_move_name("../../../../../../etc/passwd0000"));
  CHECK_FALSE(valid_move_name(""));
  CHECK_FALSE(valid_move_name("0123456789ABCDEF0123456789ABCDEF"));
  const Journal j;
  CHECK_FALSE(load_move(j.paths, 101, "../x"));
}
