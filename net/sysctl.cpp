#include "net/sysctl.h"

#include "base/strings.h"
#include "sys/files.h"

namespace vz::net {

namespace {
constexpr const char* kRoot = "/proc/sys/net/";
}

bool has_ipv6() { return sys::exists("/proc/sys/net/ipv6"); }

Result<std::string> read_sysctl(const std::string& name) {
  TRY_AS(const std::string text, sys::read_file(kRoot + name, 1 << 16));
  return std::string(trim(text));
}

Result<void> write_sysctl(const std::string& name, std::string_view value) {
  return sys::write_file(kRoot + name, value);
}

}  // namespace vz::net
