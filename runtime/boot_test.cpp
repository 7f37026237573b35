#include "runtime/boot.h"

#include "tests/catch.h"

using namespace vz;
using namespace vz::runtime;

TEST_CASE("boot: ONBOOT=yes starts, a mark does unless ONBOOT=no, nothing else") {
  CHECK(start_batches({}).empty());
  CHECK(start_batches({{.id = 101, .onboot = true}, {.id = 102}, {.id = 103, .onboot = false}}) == Batches{{101}});
  CHECK(start_batches({{.id = 101, .onboot = true, .marked = true},
                       {.id = 102, .marked = true},
                       {.id = 103, .onboot = false, .marked = true}}) == Batches{{101, 102}});
}

TEST_CASE("boot: what runs already or is disabled does not start") {
  CHECK(start_batches({{.id = 101, .onboot = true, .running = true},
                       {.id = 102, .onboot = true, .disabled = true},
                       {.id = 103, .disabled = true, .marked = true}})
            .empty());
}

TEST_CASE("boot: the highest BOOTORDER first, none last, equal ones together") {
  const std::vector<AtBoot> all = {{.id = 105, .onboot = true},
                                   {.id = 104, .onboot = true, .order = 0},
                                   {.id = 103, .onboot = true, .order = 7},
                                   {.id = 102, .onboot = true, .order = 1000000000000},
                                   {.id = 101, .onboot = true, .order = 7}};
  CHECK(start_batches(all) == Batches{{102}, {101, 103}, {104}, {105}});
}

TEST_CASE("shutdown: what runs, whatever it is, in the opposite order") {
  CHECK(stop_batches({{.id = 101, .onboot = true, .order = 5},
                      {.id = 102, .onboot = true, .order = 5, .running = true},
                      {.id = 103, .onboot = false, .disabled = true, .running = true},
                      {.id = 104, .order = 6, .marked = true, .running = true},
                      {.id = 106, .running = true}}) == Batches{{103, 106}, {102}, {104}});
}
