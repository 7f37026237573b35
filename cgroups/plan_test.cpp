#include "cgroups/cgroups.h"
#include "tests/catch.h"

using namespace vz;
using cgroups::Host;
using cgroups::Knob;
using cgroups::Limits;

namespace {

const Host kV1{"/u", {{"memory", "/m"}, {"pids", "/p"}, {"cpu", "/c"}}};
const Host kV2{"/u", {{"memory", ""}, {"pids", ""}, {"cpu", ""}}};

std::string value(const Host& host, const Limits& limits, std::string_view file) {
  for (const Knob& k : cgroups::plan(host, limits))
    if (k.file == file) return k.value;
  return "absent";
}

}  // namespace

namespace vz::cgroups {
std::ostream& operator<<(std::ostream& out, const Knob& k) {
  return out << k.controller << ' ' << k.file << '=' << k.value << (k.optional ? " (optional)" : "");
}
}  // namespace vz::cgroups

TEST_CASE("plan v1: everything set") {
  const Limits limits{.memory = 1 << 20, .swap = 4096, .pids = 100, .cpu_units = 3000, .cpu_percent = 150};
  CHECK(cgroups::plan(kV1, limits) == std::vector<Knob>{{"memory", "memory.limit_in_bytes", "1048576", false},
                                                        {"memory", "memory.memsw.limit_in_bytes", "1052672", true},
                                                        {"pids", "pids.max", "100", false},
                                                        {"cpu", "cpu.shares", "3072", false},
                                                        {"cpu", "cpu.cfs_period_us", "100000", false},
                                                        {"cpu", "cpu.cfs_quota_us", "150000", false}});
}

TEST_CASE("plan v2: everything set") {
  const Limits limits{.memory = 1 << 20, .swap = 4096, .pids = 100, .cpu_units = 3000, .cpu_percent = 150};
  CHECK(cgroups::plan(kV2, limits) == std::vector<Knob>{{"memory", "memory.max", "1048576", false},
                                                        {"memory", "memory.swap.max", "4096", true},
                                                        {"pids", "pids.max", "100", false},
                                                        {"cpu", "cpu.weight", "300", false},
                                                        {"cpu", "cpu.max", "150000 100000", false}});
}

TEST_CASE("plan v1: what is unset is lifted, and its file need not be there") {
  CHECK(cgroups::plan(kV1, {}) == std::vector<Knob>{{"memory", "memory.limit_in_bytes", "-1", true},
                                                    {"memory", "memory.memsw.limit_in_bytes", "-1", true},
                                                    {"pids", "pids.max", "max", true},
                                                    {"cpu", "cpu.shares", "1024", true},
                                                    {"cpu", "cpu.cfs_period_us", "100000", true},
                                                    {"cpu", "cpu.cfs_quota_us", "-1", true}});
}

TEST_CASE("plan v2: what is unset is lifted, and its file need not be there") {
  CHECK(cgroups::plan(kV2, {}) == std::vector<Knob>{{"memory", "memory.max", "max", true},
                                                    {"memory", "memory.swap.max", "max", true},
                                                    {"pids", "pids.max", "max", true},
                                                    {"cpu", "cpu.weight", "100", true},
                                                    {"cpu", "cpu.max", "max 100000", true}});
}

TEST_CASE("plan v1: swap counts on top of memory only") {
  CHECK(value(kV1, {.memory = 4096}, "memory.memsw.limit_in_bytes") == "-1");
  CHECK(value(kV1, {.swap = 4096}, "memory.memsw.limit_in_bytes") == "-1");
  CHECK(value(kV1, {.memory = 4096, .swap = 0}, "memory.memsw.limit_in_bytes") == "4096");
  CHECK(value(kV1, {.memory = 4096, .swap = UINT64_MAX}, "memory.memsw.limit_in_bytes") == "18446744073709551615");
  CHECK(value(kV2, {.swap = 4096}, "memory.swap.max") == "4096");
}

TEST_CASE("plan: beancounter values beyond the kernel's range") {
  for (const Host* host : {&kV1, &kV2}) {
    CHECK(value(*host, {.pids = 4194304}, "pids.max") == "4194304");
    CHECK(value(*host, {.pids = 4194305}, "pids.max") == "max");
    CHECK(value(*host, {.pids = INT64_MAX}, "pids.max") == "max");
  }
  CHECK(value(kV1, {.cpu_units = 1}, "cpu.shares") == "2");
  CHECK(value(kV1, {.cpu_units = 500000}, "cpu.shares") == "262144");
  CHECK(value(kV2, {.cpu_units = 8}, "cpu.weight") == "1");
  CHECK(value(kV2, {.cpu_units = 500000}, "cpu.weight") == "10000");
  CHECK(value(kV1, {.cpu_percent = 0}, "cpu.cfs_quota_us") == "-1");
  CHECK(value(kV2, {.cpu_percent = 0}, "cpu.max") == "max 100000");
  CHECK(value(kV2, {.cpu_percent = UINT32_MAX}, "cpu.max") == "4294967295000 100000");
}

TEST_CASE("plan: CPUs, nodes and devices, where they are named") {
  const Limits limits{.cpus = "0-3,5", .nodes = "", .io = cgroups::IoLimit{"7:1", 1 << 20, 0}};
  for (const auto& [host, name] : {std::pair{kV1, "v1"}, {kV2, "v2"}}) {
    CAPTURE(name);
    CHECK(value(host, limits, "cpuset.cpus") == "0-3,5");
    CHECK(value(host, limits, "cpuset.mems") == "");
    CHECK(value(host, {}, "cpuset.cpus") == "absent");
    CHECK(value(host, {}, "io.max") == "absent");
  }
  const Host v1{"/u", {{"blkio", "/b"}}};
  CHECK(value(v1, limits, "blkio.throttle.read_bps_device") == "7:1 1048576");
  CHECK(value(v1, limits, "blkio.throttle.write_iops_device") == "7:1 0");
  CHECK(value(v1, limits, "io.max") == "absent");
  CHECK(value(kV2, limits, "io.max") == "7:1 rbps=1048576 wbps=1048576 riops=max wiops=max");
}

TEST_CASE("plan: the weight of its disk") {
  const Host v1{"/u", {{"blkio", "/b"}}};
  CHECK(value(v1, {.io_weight = 64}, "blkio.bfq.weight") == "64");
  CHECK(value(v1, {}, "blkio.bfq.weight") == "absent");
  CHECK(value(kV2, {.io_weight = 128}, "io.bfq.weight") == "128");
  CHECK(value(kV2, {.io_weight = 128}, "io.weight") == "128");
  CHECK(value(kV2, {}, "io.weight") == "absent");
}

TEST_CASE("plan: each controller by where it lives, also when it is missing") {
  const Host mixed{"/u", {{"memory", "/m"}, {"pids", ""}}};
  const auto knobs = cgroups::plan(mixed, {.memory = 1, .pids = 2, .cpu_percent = 3});
  CHECK(knobs[0] == Knob{"memory", "memory.limit_in_bytes", "1", false});
  CHECK(knobs[2] == Knob{"pids", "pids.max", "2", false});
  CHECK(knobs[4] == Knob{"cpu", "cpu.max", "3000 100000", false});
}
