#include "runtime/host.h"

#include <cerrno>

#include "base/log.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

void load_vznet(Host& host) {
  const auto text = sys::read_file(host.paths.vznet_conf);
  if (!text && text.error().sys_errno != ENOENT) log::warn("{}", text.error().text);
  if (!text) return;
  const std::string script = config::File::parse(*text).get("EXTERNAL_SCRIPT").value_or("");
  if (sys::base_name(script) == "vznetaddbr")
    host.default_bridge = "vmbr0";
  else
    host.external_script = script;
}

}  // namespace

Result<Host> load_host() {
  Host host;
  auto text = sys::read_file(host.paths.global_conf);
  if (!text) return std::move(text).error().with_code(Code::no_global_config).context("Global configuration");
  std::vector<std::string> warnings;
  host.conf_file = config::File::parse(*text, &warnings);
  host.conf = config::load_global(host.conf_file, &warnings);
  for (const std::string& w : warnings) log::detail("{}: {}", host.paths.global_conf, w);
  load_vznet(host);
  return host;
}

Result<config::HostSize> host_size() {
  TRY_AS(const std::string meminfo, sys::read_file("/proc/meminfo"));
  TRY_AS(const std::string threads, sys::read_file("/proc/sys/kernel/threads-max"));
  return config::parse_host_size(meminfo, threads);
}

}  // namespace vz::runtime
