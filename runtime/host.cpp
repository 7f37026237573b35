#include "runtime/host.h"

#include "base/log.h"
#include "sys/files.h"

namespace vz::runtime {

Result<Host> load_host() {
  Host host;
  auto text = sys::read_file(host.paths.global_conf);
  if (!text) return std::move(text).error().with_code(Code::no_global_config).context("Global configuration");
  std::vector<std::string> warnings;
  host.conf_file = config::File::parse(*text, &warnings);
  host.conf = config::load_global(host.conf_file, &warnings);
  for (const std::string& w : warnings) log::detail("{}: {}", host.paths.global_conf, w);
  return host;
}

Result<config::HostSize> host_size() {
  TRY_AS(const std::string meminfo, sys::read_file("/proc/meminfo"));
  TRY_AS(const std::string threads, sys::read_file("/proc/sys/kernel/threads-max"));
  return config::parse_host_size(meminfo, threads);
}

}  // namespace vz::runtime
