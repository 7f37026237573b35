// A configuration for one of a number of like containers that share a host: vzsplit(8).
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "config/host_size.h"

namespace vz::config {

struct SplitRequest {
  HostSize host;
  uint64_t containers = 1;  // at least 1
  bool vswap = true;        // memory limited as a whole; else by beancounters
  // Of the file system that private areas are on; 0: not known.
  uint64_t disk_kib = 0, inodes = 0;
};
// The text of a sample, comments first. Code::invalid when the host is too small for that many: "The maximum allowed
// value is N".
Result<std::string> split_host(const SplitRequest& request);

}  // namespace vz::config
