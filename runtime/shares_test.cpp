#include "runtime/shares.h"

#include "runtime/beans.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::runtime;

namespace {

constexpr uint64_t kMiB = 1u << 20;
constexpr config::HostSize kHost{.ram = 1000 * kMiB, .swap = 1000 * kMiB, .low = 1000 * kMiB, .threads = 8000};

config::CtSpec spec_of(std::string_view text) {
  config::CtSpec spec;
  config::load(config::File::parse(text), 101, spec);
  return spec;
}

}  // namespace

TEST_CASE("beancounters: what is counted, configured, and neither") {
  const auto spec = spec_of("PHYSPAGES=\"0:100\"\nKMEMSIZE=\"1:2\"\n");
  cgroups::Usage usage{.memory = 40960, .memory_max = 81920, .memory_failures = 3, .kernel = 7, .swap = 8192};
  usage.pids = 5;
  const auto bean = [&](std::string_view name, bool running = true) {
    return bean_of(*config::find_bean(name), spec, running, running ? std::optional(usage) : std::nullopt);
  };
  CHECK(bean("physpages").held == 10);
  CHECK(bean("physpages").maxheld == 20);
  CHECK(bean("physpages").failcnt == 3);
  CHECK(bean("physpages").limits == config::BarrierLimit{0, 100});
  CHECK(bean("swappages").held == 2);
  CHECK(bean("kmemsize").held == 7);
  CHECK(bean("kmemsize").limits == config::BarrierLimit{1, 2});
  CHECK(bean("numproc").held == 5);
  CHECK(bean("numproc").limits == config::BarrierLimit());
  CHECK_FALSE(bean("numfile").held);
  CHECK_FALSE(bean("numproc", false).limits);
  CHECK_FALSE(bean("physpages", false).held);
}

TEST_CASE("shares: memory limited as a whole") {
  const cgroups::Usage usage{.memory = 50 * kMiB, .kernel = 4 * kMiB, .swap = 10 * kMiB, .pids = 80};
  const Shares s = shares_of(spec_of("PHYSPAGES=\"0:100M\"\nSWAPPAGES=\"0:200M\"\nKMEMSIZE=\"1G\"\nNUMPROC=\"800\"\n"),
                             usage, kHost);
  CHECK(s.kernel_used == 4 * kMiB);
  CHECK(s.kernel_limit == 0);
  CHECK(s.ram_used == 50 * kMiB);
  CHECK(s.memory_used == 60 * kMiB);
  CHECK(s.memory_promised == 100 * kMiB);
  CHECK(s.alloc_promised == 300 * kMiB);
  CHECK(s.alloc_limit == 300 * kMiB);
  CHECK(percent(s.processes_used, capacity(kHost).processes_used) == 1);
  CHECK(percent(s.processes_limit, capacity(kHost).processes_limit) == 10);
}

TEST_CASE("shares: beancounters, and what has no limit") {
  const auto spec = spec_of(
      "KMEMSIZE=\"10M:20M\"\nTCPRCVBUF=\"1M:2M\"\nOOMGUARPAGES=\"5M:unlimited\"\nVMGUARPAGES=\"6M:unlimited\"\n"
      "PRIVVMPAGES=\"90M:100M\"\nPHYSPAGES=\"0:unlimited\"\n");
  const Shares s = shares_of(spec, std::nullopt, kHost);
  CHECK(s.kernel_limit == 22 * kMiB);
  CHECK(s.memory_promised == 27 * kMiB);
  CHECK(s.alloc_promised == 28 * kMiB);
  CHECK(s.alloc_limit == 122 * kMiB);
  CHECK(s.ram_used == 0);
  CHECK(s.processes_limit == kHost.threads);
  const Shares none = shares_of({}, std::nullopt, kHost);
  CHECK(none.alloc_promised == 0);
  CHECK(none.alloc_limit == 2000 * kMiB);
  CHECK(shares_of(spec_of("KMEMSIZE=\"unlimited\"\n"), std::nullopt, kHost).kernel_limit == 400 * kMiB);
  CHECK(sum(s, none).alloc_limit == 2122 * kMiB);
  CHECK(percent(1, 0) == 0);
}
