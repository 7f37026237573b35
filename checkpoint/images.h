// What lies in a dump directory beside criu's images: the parts of a container that criu is not asked to bring back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cgroups/cgroups.h"

namespace vz::checkpoint {

constexpr std::string_view kNetFile = "vessel-net.json";         // net::save_state
constexpr std::string_view kTrackedFile = "vessel-connections";  // net::save_connections; absent: criu's own are used
constexpr std::string_view kSinceFile = "vessel-since";          // seconds since the epoch of the first start
// "UID GID PATH" lines, parents first, each followed by "=FILE VALUE" lines
constexpr std::string_view kCgroupFile = "vessel-cgroups";
// CTID.conf with what was set without --save; absent: nothing was
constexpr std::string_view kConfFile = "vessel-live.conf";
// print_sockets(), see bound_sockets.h; absent: there are none
constexpr std::string_view kSocketsFile = "vessel-sockets.json";

std::string print_tree(const std::vector<cgroups::Group::Directory>& tree);
// Code::invalid on malformed text. A peer may have written it: what paths, ids and settings may be is checked where
// they are used (Group::make_guest_tree()).
Result<std::vector<cgroups::Group::Directory>> parse_tree(std::string_view text);

// criu options that dump and restore must agree on. Device nodes are bind mounts of the host's.
std::vector<std::string> common_options();
// LEFT_OUT and MOUNTS as in DumpOptions and RestoreOptions.
std::vector<std::string> dump_externals(const std::vector<std::string>& left_out);
std::vector<std::string> restore_externals(const std::vector<std::string>& mounts);

}  // namespace vz::checkpoint
