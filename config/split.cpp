#include "config/split.h"

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "config/config.h"

namespace vz::config {

namespace {

constexpr uint64_t kReserve = 50u << 20;  // bytes for the host itself
constexpr uint64_t kLeastMemory = 5542912, kLeastLow = 1348608;
constexpr uint64_t kLeastPages = 1024, kLeastProcesses = 30;

// How much a container may hope for: the more of them, the higher the level.
struct CommitLevel {
  std::string_view name;
  double low, processes, dcache, private_memory, locked;
  uint64_t kernel_of_process, most_of_average, socket_buffer, signals;
};
constexpr auto kLevels = std::to_array<CommitLevel>({
    {"free resources", 1, 1, 1.5, 6, 10, 81920, 8, 4096, 1024},
    {"normal resources", 1.2, 1.5, 1.2, 3, 3, 65536, 5, 3036, 512},
    {"partial shortage of resources", 1.8, 2, 1, 1.5, 1, 53248, 3, 2560, 256},
});
constexpr std::string_view kShortage = "overall shortage of resources";

uint64_t scaled(double factor, uint64_t value) { return static_cast<uint64_t>(factor * static_cast<double>(value)); }
// What a file system may hold for a moment.
uint64_t with_reserve(uint64_t barrier) { return barrier + barrier / 10; }

struct Share {
  bool fits = false;  // without the least values
  uint64_t total, low, kernel, average, processes, guaranteed;
};

Share share_of(const SplitRequest& r, const CommitLevel& level) {
  const HostSize& h = r.host;
  const uint64_t threads = std::min<uint64_t>(h.threads, h.low > (uint64_t{2} << 30) ? 16000 : 8000);
  Share s{};
  s.total = (h.ram + h.swap - kReserve) / r.containers;
  s.low = scaled(0.4 * level.low, h.low) / r.containers;
  const uint64_t pages = (s.total - std::min(s.total, s.low)) / kPageSize;
  const uint64_t average = s.low / 2 / level.kernel_of_process;
  const uint64_t processes = std::max(scaled(level.processes, threads) / r.containers, 2 * average);
  s.fits = pages >= kLeastPages && average * level.most_of_average >= kLeastProcesses;
  s.guaranteed = std::max(pages, kLeastPages);
  s.average = std::max(average, kLeastProcesses / 2);
  s.kernel = std::max(s.low / 2, s.average * level.kernel_of_process);
  s.processes = std::clamp(processes, kLeastProcesses, level.most_of_average * s.average);
  return s;
}

std::string line(std::string_view key, uint64_t barrier, uint64_t limit) {
  return fmt::format("{}=\"{}\"\n", key, print_barrier_limit({barrier, limit}));
}
std::string line(std::string_view key, uint64_t value) { return line(key, value, value); }

std::string beancounters(const SplitRequest& r, const CommitLevel& level, const Share& s) {
  const uint64_t files = 32 * s.average, dcache = scaled(level.dcache, files * 384);
  const uint64_t sockets = level.socket_buffer * s.processes;
  const uint64_t tcp = std::max<uint64_t>(s.low / 6, 64u << 10), other = std::max<uint64_t>(s.low / 12, 129u << 10);
  const uint64_t most = std::min(s.total, scaled(0.6, r.host.ram)) / kPageSize;
  const uint64_t memory = std::max(s.guaranteed, std::min(scaled(level.private_memory, s.guaranteed), most));
  const uint64_t locks = std::min<uint64_t>(files / 10, 1000);
  const uint64_t locked = std::max<uint64_t>(scaled(level.locked, s.kernel) / 204800, 4);
  std::string out = "\n# Primary parameters\n";
  out += line("AVNUMPROC", s.average) + line("NUMPROC", s.processes) + line("NUMTCPSOCK", s.processes);
  out += line("NUMOTHERSOCK", s.processes) + line("VMGUARPAGES", s.guaranteed, kUnlimited);
  out += "\n# Secondary parameters\n";
  out += line("KMEMSIZE", s.kernel, with_reserve(s.kernel)) + line("TCPSNDBUF", tcp, tcp + sockets);
  out += line("TCPRCVBUF", tcp, tcp + sockets) + line("OTHERSOCKBUF", other, other + sockets);
  out += line("DGRAMRCVBUF", other) + line("OOMGUARPAGES", s.guaranteed, kUnlimited);
  out += line("PRIVVMPAGES", memory, with_reserve(memory));
  out += "\n# Auxiliary parameters\n";
  out += line("LOCKEDPAGES", locked) + line("SHMPAGES", memory / 10) + line("PHYSPAGES", 0, kUnlimited);
  out += line("NUMFILE", files) + line("NUMFLOCK", locks, with_reserve(locks));
  out += line("NUMPTY", std::clamp<uint64_t>(s.processes / 10, 4, 512)) + line("NUMSIGINFO", level.signals);
  out += line("DCACHESIZE", scaled(1 / 1.03, dcache), dcache);
  out += line("NUMIPTENT", std::clamp<uint64_t>(2000 / r.containers, 4, 200));
  return out;
}

// Swap space is the host's real one, of which no more can be shared out than there is.
std::string whole_memory(const SplitRequest& r) {
  const uint64_t ram = std::max((r.host.ram - kReserve) / r.containers / kPageSize, kLeastPages);
  const uint64_t swap = std::min(2 * ram, r.host.swap / r.containers / kPageSize);
  std::string out = "\n" + line("PHYSPAGES", 0, ram) + line("SWAPPAGES", 0, swap) + "\n";
  for (const std::string_view key : {"KMEMSIZE", "LOCKEDPAGES", "PRIVVMPAGES", "SHMPAGES", "NUMPROC", "NUMTCPSOCK",
                                     "NUMFLOCK", "NUMPTY", "NUMSIGINFO", "TCPSNDBUF", "TCPRCVBUF", "OTHERSOCKBUF",
                                     "DGRAMRCVBUF", "NUMOTHERSOCK", "DCACHESIZE", "NUMFILE", "NUMIPTENT"})
    out += line(key, kUnlimited);
  return out + line("VMGUARPAGES", 0, kUnlimited) + line("OOMGUARPAGES", 0, kUnlimited);
}

std::string disk(const SplitRequest& r) {
  constexpr uint64_t kDiskReserve = 10u << 20, kInodeReserve = 100000;  // KiB; inodes
  const auto part = [&](uint64_t all, uint64_t reserve, uint64_t otherwise) {
    const uint64_t share = all > reserve ? (all - reserve) / (2 * r.containers) : 0;
    return share ? share : otherwise;
  };
  const uint64_t space = part(r.disk_kib, kDiskReserve, 225280), inodes = part(r.inodes, kInodeReserve, 88000);
  return "\n" + line("DISKSPACE", scaled(1 / 1.1, space), space) + line("DISKINODES", scaled(1 / 1.1, inodes), inodes) +
         "CPUUNITS=\"1000\"\n";
}

Result<void> check_size(const SplitRequest& r) {
  const auto check = [&](std::string_view what, uint64_t bytes, uint64_t least) -> Result<void> {
    const uint64_t left = bytes > kReserve ? bytes - kReserve : 0;
    if (r.containers != 0 && left / r.containers >= least) return {};
    return fail(Code::invalid, "{} is not enough for {} containers. The maximum allowed value is {}", what,
                r.containers, left / least);
  };
  if (r.host.ram < kReserve) return fail(Code::invalid, "The host has less than 50 MiB of memory");
  TRY(check("Memory", r.host.ram + r.host.swap, kLeastMemory));
  return check("Low memory", r.host.low, kLeastLow);
}

}  // namespace

Result<std::string> split_host(const SplitRequest& r) {
  TRY(check_size(r));
  size_t chosen = 0;
  while (chosen < kLevels.size() && !share_of(r, kLevels[chosen]).fits) ++chosen;
  const CommitLevel& level = kLevels[std::min(chosen, kLevels.size() - 1)];
  const HostSize& h = r.host;
  std::string out = fmt::format("# Made by vzsplit for {} containers\n", r.containers);
  out += fmt::format("# Total physical memory: {} MiB\n", h.ram >> 20);
  out += fmt::format("# Low memory: {} MiB, swap: {} MiB, threads: {}\n", h.low >> 20, h.swap >> 20, h.threads);
  out += fmt::format("# Resource commit level {}: {}\n#\n", chosen, chosen < kLevels.size() ? level.name : kShortage);
  out += r.vswap ? whole_memory(r) : beancounters(r, level, share_of(r, level));
  return out + disk(r);
}

}  // namespace vz::config
