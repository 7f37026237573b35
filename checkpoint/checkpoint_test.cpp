#include "checkpoint/criu.h"
#include "checkpoint/images.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::checkpoint;

TEST_CASE("cgroup tree: prints and parses") {
  const std::vector<cgroups::Group::Directory> tree = {
      {".", 0, 0, {{"cgroup.subtree_control", "cpu memory"}}},
      {"user.slice/a b", 1000, 1001, {{"cpu.max", "max 5"}, {"pids.max", "7"}}}};
  const auto back = parse_tree(print_tree(tree));
  REQUIRE(back);
  REQUIRE(back->size() == 2);
  CHECK((*back)[1].path == "user.slice/a b");
  CHECK((*back)[1].uid == 1000);
  CHECK((*back)[1].gid == 1001);
  CHECK((*back)[0].settings[0].value == "cpu memory");
  REQUIRE((*back)[1].settings.size() == 2);
  CHECK((*back)[1].settings[0].file == "cpu.max");
  CHECK((*back)[1].settings[0].value == "max 5");
  CHECK(parse_tree("")->empty());
}

TEST_CASE("cgroup tree: a peer's lies are errors") {
  for (const char* bad :
       {"4294967296 0 a\n", "-1 0 a\n", "0 0\n", "a\n", "0  a\n", "=pids.max 7\n", "0 0 a\n=pids.max\n"})
    CHECK_FALSE(parse_tree(bad));
}

TEST_CASE("criu's log: the first error, without its place and without the harmless one") {
  CHECK(first_error("Warn  (a.c:1): x\nError (criu/util.c:1): rlimit: Can't setup RLIMIT_NOFILE for self\n"
                    "     1: Error (criu/files.c:1221): Unable to open fd=23\nError (b.c:2): later\n") ==
        "Unable to open fd=23");
  CHECK(first_error("all well\n").empty());
  CHECK(first_error("Error (a.c:1): \x1b[2J") == "\\x1b[2J");
}
