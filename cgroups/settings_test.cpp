#include "cgroups/v2/settings.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::cgroups::v2;

TEST_CASE("v2 settings: what a guest may have set") {
  CHECK(check_settings({{"memory.max", "1048576"}, {"cpu.max", "max 50000"}, {"cgroup.subtree_control", "cpu memory"}},
                       false));
  CHECK(check_settings({{"cgroup.subtree_control", "cpu memory"}}, true));
  CHECK(check_settings({{"cgroup.type", "threaded"}}, false));
}

TEST_CASE("v2 settings: a peer's lies are errors") {
  CHECK_FALSE(check_settings({{"memory.max", "max"}}, true));  // the limit of the container itself
  CHECK_FALSE(check_settings({{"cgroup.procs", "1"}}, false));
  CHECK_FALSE(check_settings({{"../memory.max", "1"}}, false));
  CHECK_FALSE(check_settings({{"/etc/passwd", "x"}}, false));
  CHECK_FALSE(check_settings({{"cgroup.type", "domain threaded"}}, false));
  CHECK_FALSE(check_settings({{"pids.max", "1\n2"}}, false));
  CHECK_FALSE(check_settings({{"pids.max", std::string(1000, '9')}}, false));
}
