#include "config/host_size.h"

#include <charconv>

#include "base/strings.h"

namespace vz::config {

Result<HostSize> parse_host_size(std::string_view meminfo, std::string_view threads_max) {
  constexpr uint64_t kKiB = 1024;
  const auto ram = find_number(meminfo, "MemTotal:");
  const auto threads = parse_u64(trim(threads_max));
  if (!ram || *ram == 0) return fail(Code::invalid, "no MemTotal in /proc/meminfo");
  if (!threads || *threads == 0) return fail(Code::invalid, "no number in /proc/sys/kernel/threads-max");
  HostSize size{.ram = *ram * kKiB, .threads = *threads};
  size.swap = find_number(meminfo, "SwapTotal:").value_or(0) * kKiB;
  size.low = find_number(meminfo, "LowTotal:").value_or(*ram) * kKiB;
  if (size.low == 0) size.low = size.ram;
  return size;
}

uint64_t parse_cpu_power(std::string_view cpuinfo) {
  constexpr double kUnitsOfOne = 25;
  double sum = 0;
  for (const std::string_view line : split(cpuinfo, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || to_lower(trim(line.substr(0, colon))) != "bogomips") continue;
    const std::string_view number = trim(line.substr(colon + 1));
    double value = 0;
    if (std::from_chars(number.data(), number.data() + number.size(), value).ec == std::errc()) sum += value;
  }
  return static_cast<uint64_t>(sum * kUnitsOfOne);
}

}  // namespace vz::config
