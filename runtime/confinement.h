// What a guest may not do, as tables: capabilities it never gets, system calls it is refused, and what its /dev, /proc
// and /run are made of. Pure; inside.cpp and exec.cpp carry it out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec.h"
#include "sys/seccomp.h"

namespace vz::runtime {

// Capabilities to drop: the fixed list, changed by CAPABILITY ("sys_time:on" keeps it, "net_raw:off" drops it too).
std::vector<std::string> dropped_capabilities(const config::CtSpec& spec);

const std::vector<sys::SyscallRule>& syscall_rules();
// The rules, compiled when Vessel was built, for sys::load_filter().
const std::vector<uint64_t>& guest_filter();

struct MountStep {
  std::string_view type, target;
  unsigned long flags;
  std::string_view options;
};
const std::vector<MountStep>& guest_mounts();         // in order; TYPE is the source where FLAGS have MS_BIND
const std::vector<std::string_view>& device_nodes();  // names below /dev, bind mounts of the host's
// Files of /proc that name the host's disks, empty for the guest: its /dev/null is bound over them.
const std::vector<std::string_view>& emptied_files();
struct Link {
  std::string_view target, path;
};
const std::vector<Link>& device_links();
// Text files in the fresh /run, parents first made.
struct SeedFile {
  std::string_view path, text;
};
const std::vector<SeedFile>& run_files();

// Environment of init.
std::vector<std::string> init_environment();

}  // namespace vz::runtime
