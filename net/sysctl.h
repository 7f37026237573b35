// /proc/sys/net, as the calling thread's network namespace shows it (also in a /proc mounted elsewhere: the lookup goes
// by the task that opens).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace vz::net {

bool has_ipv6();
// NAME is a path below /proc/sys/net: "ipv4/ip_forward". Without the final newline.
Result<std::string> read_sysctl(const std::string& name);
Result<void> write_sysctl(const std::string& name, std::string_view value);

}  // namespace vz::net
