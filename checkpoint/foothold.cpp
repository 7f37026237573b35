#include "checkpoint/foothold.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <string>

#include "base/log.h"
#include "checkpoint/memory.h"
#include "checkpoint/tracee.h"
#include "sys/files.h"
#include "sys/maps.h"

namespace vz::checkpoint {

namespace {

constexpr uint64_t kLowest = 65536;  // vm.mmap_min_addr, as a rule

using sys::Mapping;

bool executable(const Mapping& m) { return m.modes[2] == 'x'; }
bool of_no_use(const Mapping& m) { return m.modes[3] == 's' && m.modes[1] != 'w'; }

std::string maps_of(pid_t pid) { return sys::read_file(fmt::format("/proc/{}/maps", pid)).value_or(""); }

}  // namespace

std::optional<uint64_t> foothold_place(std::string_view maps) {
  uint64_t free = kLowest;
  std::optional<uint64_t> place;
  for (const Mapping& m : sys::parse_maps(maps)) {
    if (!place && m.begin >= free + kPage) place = free;
    if (executable(m)) return of_no_use(m) ? place : std::nullopt;
    free = std::max(free, m.end);
  }
  return std::nullopt;
}

Result<void> give_foothold(pid_t pid, uint64_t at) {
  TRY_AS(const auto tracee, Tracee::stop(pid));
  TRY(tracee->call(SYS_mmap,
                   {at, kPage, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, ~0ull, 0}),
      "map a page");
  return {};
}

void give_footholds(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    const auto at = foothold_place(maps_of(pid));
    if (!at) continue;
    const auto given = give_foothold(pid, *at);
    log::detail("process {} gets a page for criu: {}", pid, given ? "done" : given.error().text);
  }
}

}  // namespace vz::checkpoint
