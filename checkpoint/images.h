// What lies in a dump directory beside criu's images: the parts of a container that criu is not asked to bring back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cgroups/cgroups.h"

namespace vz::checkpoint {

constexpr std::string_view kNetFile = "vessel-net.json";  // net::save_state
constexpr std::string_view kCgroupFile =
    "vessel-cgroups";  // "UID GID PATH" lines, parents first, each followed by "=FILE VALUE" lines
constexpr std::string_view kConfFile =
    "vessel-live.conf";  // CTID.conf with what was set without --save; absent: nothing was
constexpr std::string_view kSinceFile = "vessel-since";  // seconds since the epoch of the first start

std::string print_tree(const std::vector<cgroups::Group::Directory>& tree);
// Code::invalid on malformed text, ids outside 0..65535, absolute paths or ".." in it: a peer may have written it.
Result<std::vector<cgroups::Group::Directory>> parse_tree(std::string_view text);

// criu options that dump and restore must agree on. Device nodes are bind mounts of the host's.
std::vector<std::string> common_options();
std::vector<std::string> dump_externals();
std::vector<std::string> restore_externals();

}  // namespace vz::checkpoint
