// The disks below a directory, and who decides there whose turn it is.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vz::storage {

struct Disk {
  std::string name;       // "sda"
  std::string number;     // "8:0"
  std::string scheduler;  // "bfq"; "none"
};
// Of the file system that DIR is on, through partitions, device mapper and RAID. Empty: none that the kernel tells of.
std::vector<Disk> disks_below(const std::string& dir);

// The chosen one of /sys/block/sda/queue/scheduler: "none [bfq] kyber". Pure; empty: none.
std::string chosen_scheduler(std::string_view text);

}  // namespace vz::storage
