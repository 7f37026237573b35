#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/strings.h"
#include "cli/top/sample.h"

namespace vz::cli::top {

namespace {

double decimal(std::string_view word) { return std::strtod(std::string(word).c_str(), nullptr); }

uint64_t number_at(const std::vector<std::string_view>& fields, size_t i) {
  return i < fields.size() ? parse_u64(fields[i]).value_or(0) : 0;
}

int64_t signed_number(std::string_view word) {
  const bool negative = word.starts_with('-');
  const auto number = static_cast<int64_t>(parse_u64(word.substr(negative ? 1 : 0)).value_or(0));
  return negative ? -number : number;
}

// "cpu  USER NICE SYSTEM IDLE IOWAIT IRQ SOFTIRQ STEAL GUEST GUEST_NICE"; what guests use is in the first two already.
void add_cpu(std::string_view stat, HostSample& host) {
  constexpr size_t kIdle = 4, kIoWait = 5, kSteal = 8;
  unsigned cpus = 0;
  for (const std::string_view line : split(stat, '\n')) {
    if (!line.starts_with("cpu")) break;
    const auto fields = words(line);
    if (fields[0] != "cpu") {
      ++cpus;
      continue;
    }
    for (size_t i = 1; i <= kSteal; ++i) {
      host.ticks += number_at(fields, i);
      if (i != kIdle && i != kIoWait) host.busy += number_at(fields, i);
    }
  }
  host.cpus = std::max(1u, cpus);
}

}  // namespace

HostSample parse_host(std::string_view uptime, std::string_view loadavg, std::string_view stat,
                      std::string_view meminfo) {
  constexpr uint64_t kKiB = 1024;
  HostSample host;
  if (const auto fields = words(uptime); !fields.empty()) host.uptime = static_cast<uint64_t>(decimal(fields[0]));
  const auto averages = words(loadavg);
  for (size_t i = 0; i < std::min(averages.size(), host.load.size()); ++i) host.load[i] = decimal(averages[i]);
  add_cpu(stat, host);
  const auto size = [&](std::string_view key) { return find_number(meminfo, key).value_or(0) * kKiB; };
  host.memory = size("MemTotal:");
  host.free = size("MemAvailable:");
  host.swap = size("SwapTotal:");
  host.swap_free = size("SwapFree:");
  return host;
}

// "  eth0: RECEIVED PACKETS ERRS DROP FIFO FRAME COMPRESSED MULTICAST SENT ..."
std::map<std::string, Bytes, std::less<>> parse_devices(std::string_view text) {
  constexpr size_t kReceived = 0, kSent = 8;
  std::map<std::string, Bytes, std::less<>> out;
  for (const std::string_view line : split(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    const auto numbers = words(line.substr(colon + 1));
    out.emplace(trim(line.substr(0, colon)), Bytes{number_at(numbers, kReceived), number_at(numbers, kSent)});
  }
  return out;
}

std::optional<ProcessSample> parse_process(std::string_view stat, uint64_t page_size) {
  // Fields behind the name, numbered from 3 in proc_pid_stat(5).
  constexpr size_t kState = 0, kParent = 1, kUser = 11, kSystem = 12, kNice = 16, kThreads = 17, kStart = 19,
                   kSize = 20, kResident = 21;
  const size_t open = stat.find('('), close = stat.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return std::nullopt;
  const auto pid = parse_u64(trim(stat.substr(0, open)));
  const auto fields = words(stat.substr(close + 1));
  if (!pid || fields.size() <= kResident) return std::nullopt;
  ProcessSample p;
  p.pid = static_cast<pid_t>(*pid);
  p.ppid = static_cast<pid_t>(number_at(fields, kParent));
  p.command = stat.substr(open + 1, close - open - 1);
  p.state = fields[kState][0];
  p.nice = signed_number(fields[kNice]);
  p.threads = number_at(fields, kThreads);
  p.cpu_ticks = number_at(fields, kUser) + number_at(fields, kSystem);
  p.started = number_at(fields, kStart);
  p.memory = number_at(fields, kResident) * page_size;
  p.size = number_at(fields, kSize);
  return p;
}

}  // namespace vz::cli::top
