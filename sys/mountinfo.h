// The mounts of a process: /proc/PID/mountinfo (proc_pid_mountinfo(5)). A guest chooses what is in its own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::sys {

struct MountInfo {
  std::string_view id, parent, device, options, type, source, super_options;  // parts of the line
  std::string root, point;
};

// One line, without its end; nullopt: it is none.
std::optional<MountInfo> parse_mount(std::string_view line);

struct MountPoint {
  std::string path, type;
  bool idmapped = false;
};
// What is mounted below DIR (not on it), in an order in which it can be unmounted.
std::vector<MountPoint> mounts_below(std::string_view mountinfo, std::string_view dir);
// In this process's namespace; symbolic links in DIR are followed.
Result<std::vector<MountPoint>> mounts_below(const std::string& dir);

// Blank, tab, newline and backslash are written as \NNN there.
std::string unescape_mount(std::string_view text);

// PATH is DIR or below it.
bool is_within(std::string_view path, std::string_view dir);

}  // namespace vz::sys
