#include "config/host_size.h"

#include <optional>

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

// "4800.02", in hundredths. Not std::from_chars(), which would make every command load libm.
static std::optional<uint64_t> parse_hundredths(std::string_view text) {
  const auto parts = split(text, '.');
  if (parts.size() != 2 || parts[1].size() != 2) return std::nullopt;
  const auto whole = parse_u64(parts[0]), part = parse_u64(parts[1]);
  if (!whole || !part || *whole > UINT32_MAX) return std::nullopt;
  return *whole * 100 + *part;
}

uint64_t parse_cpu_power(std::string_view cpuinfo) {
  constexpr uint64_t kUnitsOfOne = 25;
  uint64_t sum = 0;
  for (const std::string_view line : split(cpuinfo, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || to_lower(trim(line.substr(0, colon))) != "bogomips") continue;
    sum += parse_hundredths(trim(line.substr(colon + 1))).value_or(0);
  }
  return sum * kUnitsOfOne / 100;
}

}  // namespace vz::config
