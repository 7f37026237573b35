#include "runtime/load_average.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::runtime;

TEST_CASE("load average: the kernel's, of samples 5 s apart") {
  LoadAverage a;
  CHECK(a.load() == Load{0, 0, 0});
  for (int i = 0; i < 12; ++i) a.add(2);  // a minute
  CHECK(a.load()[0] == 127);              // 2 * (1 - 1/e), and a little for rounding up
  CHECK(a.load()[1] > 35);
  CHECK(a.load()[1] < 38);
  for (int i = 0; i < 12 * 60 * 3; ++i) a.add(2);
  CHECK(a.load() == Load{200, 200, 200});
  for (int i = 0; i < 12; ++i) a.add(0);
  CHECK(a.load()[0] > 70);
  CHECK(a.load()[0] < 75);
  for (int i = 0; i < 12 * 60 * 3; ++i) a.add(0);
  CHECK(a.load() == Load{0, 0, 0});
}

TEST_CASE("load average: as text, and back") {
  const Loads loads = {{101, {0, 1, 1205}}, {2147483644, {100, 99, 5}}};
  const std::string text = print_loads(loads);
  CHECK(text == "101 0.00 0.01 12.05\n2147483644 1.00 0.99 0.05\n");
  CHECK(parse_loads(text) == loads);
  CHECK(load_text(loads.at(101), "/") == "0.00/0.01/12.05");
  for (const char* bad : {"", "101", "101 0 0 0", "101 0.1 0.1 0.1", "x 0.00 0.00 0.00", "101 0.00 0.00 0.00 0.00",
                          "101 -1.00 0.00 0.00", "9999999999 0.00 0.00 0.00", "101 .00 0.00 0.00"})
    CHECK(parse_loads(bad).empty());
}

TEST_CASE("load average: what nobody writes any more is none") {
  const tests::TempDir dir;
  state::Paths paths;
  paths.run_dir = dir.path;
  CHECK(current_loads(paths).empty());
  REQUIRE(sys::replace_file(dir.path + "/loadavg", "101 1.00 0.50 0.25\n"));
  CHECK(current_loads(paths) == Loads{{101, {100, 50, 25}}});
  const timespec old[2] = {{::time(nullptr) - 60, 0}, {::time(nullptr) - 60, 0}};
  REQUIRE(::utimensat(AT_FDCWD, (dir.path + "/loadavg").c_str(), old, 0) == 0);
  CHECK(current_loads(paths).empty());
  REQUIRE(forget_loads(paths));
  CHECK(forget_loads(paths));
}
