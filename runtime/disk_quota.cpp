#include "runtime/disk_quota.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/strings.h"

namespace vz::runtime {

namespace {

constexpr uint64_t kDefaultGrace = 259200;  // what OpenVZ takes without QUOTATIME

QuotaLine quota_line(uint64_t used, uint64_t most, const std::optional<config::BarrierLimit>& configured) {
  QuotaLine line{.usage = used, .soft = most, .hard = most};
  if (!configured) return line;
  if (configured->limit < config::kUnlimited) line.hard = configured->limit;
  line.soft = std::min(configured->barrier, line.hard);
  return line;
}

std::array<std::pair<const char*, const QuotaLine*>, 2> lines_of(const DiskQuota& quota) {
  return {{{"1k-blocks", &quota.blocks}, {"inodes", &quota.inodes}}};
}

}  // namespace

Result<DiskQuota> disk_quota(const Container& ct) {
  if (ct.area.layout != config::Layout::image)
    return fail(Code::unsupported, "the private area '{}' is a plain directory, without limits", ct.area.private_dir);
  TRY_AS(const storage::DiskUsage usage, storage::usage(ct.area));
  const auto grace = config::find_key("QUOTATIME")->print(ct.spec);
  DiskQuota q{.on = storage::is_mounted(ct.area),
              .blocks = quota_line(usage.space_kib, usage.space_limit_kib, ct.spec.diskspace),
              .inodes = quota_line(usage.inodes, usage.inodes_limit, std::nullopt)};
  if (ct.spec.diskinodes) q.inodes.soft = std::min(ct.spec.diskinodes->barrier, q.inodes.hard);
  q.grace = grace ? parse_u64(*grace).value_or(kDefaultGrace) : kDefaultGrace;
  return q;
}

std::string print_quota(const DiskQuota& quota) {
  std::string out =
      fmt::format("{:>11} {:>14}  {:>14} {:>14} {:>8}\n", "resource", "usage", "softlimit", "hardlimit", "grace");
  for (const auto& [name, line] : lines_of(quota))
    out += fmt::format("{:>11} {:>14}{} {:>14} {:>14} {:>8}\n", name, line->usage, line->over() ? '*' : ' ', line->soft,
                       line->hard, "");
  return out;
}

std::string print_quota_batch(const DiskQuota& quota) {
  std::string out;
  for (const auto& [name, line] : lines_of(quota))
    out += fmt::format("{:>14} {:>14} {:>14} {:>14} {:>14}\n", line->usage, line->soft, line->hard, 0, quota.grace);
  return out;
}

std::string quota_proc_header() {
  return fmt::format("{:<11}{:>15}{:>15}{:>15}{:>11}{:>11}\n", "qid: path", "usage", "softlimit", "hardlimit", "time",
                     "expire");
}

std::string quota_proc_entry(config::CtId id, const std::string& path, const DiskQuota& quota) {
  std::string out = fmt::format("{}: {}\n", id, printable(path));
  for (const auto& [name, line] : lines_of(quota))
    out += fmt::format("{:>11}{:>15}{:>15}{:>15}{:>11}{:>11}\n", name, line->usage, line->soft, line->hard, 0,
                       quota.grace);
  return out;
}

}  // namespace vz::runtime
