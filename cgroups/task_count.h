// How many tasks of each container make a load average: those that run or want to, and those that wait for a disk. No
// kernel counts them for a group of cgroup v2 (v1: taskstats); a BPF program walks all tasks of our PID namespace, in
// the kernel, and names the groups of those (Documentation/bpf/bpf_iterators.rst).
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "cgroups/btf.h"
#include "cgroups/cgroups.h"
#include "sys/unique_fd.h"

namespace vz::cgroups {

// Where the kernel has what the program reads.
struct TaskOffsets {
  uint32_t state = 0, cgroups = 0;  // of task_struct
  uint32_t group = 0;               // css_set: its cgroup2 group
  uint32_t node = 0, number = 0;    // cgroup: its directory; kernfs_node: the number of that
};
Result<TaskOffsets> task_offsets(const Btf& btf);
// Writes the number of the group of each such task, 8 bytes. Pure.
std::vector<bpf_insn> task_program(const TaskOffsets& at);

class TaskCounter {
 public:
  // Code::unsupported: a kernel without BPF or without a description of its types (CONFIG_DEBUG_INFO_BTF).
  static Result<TaskCounter> open(const Host& host);
  // Of the containers that have groups, those without such tasks as well.
  Result<std::map<config::CtId, uint64_t>> count();

 private:
  TaskCounter() = default;
  config::CtId container(uint64_t group);

  std::string mount_;
  sys::UniqueFd mount_fd_, link_;
  std::unordered_map<uint64_t, config::CtId> known_;  // by group; 0: of the host
};

}  // namespace vz::cgroups
