// A container's disk limits, told as OpenVZ's quota does.
#pragma once

#include <string>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

struct QuotaLine {
  uint64_t usage = 0, soft = 0, hard = 0;  // limits: 0 is none
  bool over() const { return (soft != 0 && usage > soft) || (hard != 0 && usage > hard); }
};

struct DiskQuota {
  bool on = false;           // the area is mounted
  QuotaLine blocks, inodes;  // blocks of 1 KiB
  uint64_t grace = 0;        // seconds, QUOTATIME: told, with no effect here
};
// Code::unsupported: a layout without limits of its own; else what storage::usage() says.
Result<DiskQuota> disk_quota(const Container& ct);

// Pure: the table of `vzquota stat`, what its -b makes of it, and the lines of /proc/vz/vzquota.
std::string print_quota(const DiskQuota& quota);
std::string print_quota_batch(const DiskQuota& quota);
std::string quota_proc_header();
std::string quota_proc_entry(config::CtId id, const std::string& path, const DiskQuota& quota);

}  // namespace vz::runtime
