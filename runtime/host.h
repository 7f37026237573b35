// What every sequence needs to know about this host, read once per command.
#pragma once

#include <string>

#include "base/result.h"
#include "cgroups/cgroups.h"
#include "config/config.h"
#include "config/host_size.h"
#include "state/state.h"

namespace vz::runtime {

struct Host {
  state::Paths paths;
  config::GlobalConf conf;
  config::File conf_file;  // vz.conf: also the defaults of every container
  // EXTERNAL_SCRIPT of vznet.conf: has links of containers put into networks; empty: none. OpenVZ's vznetaddbr is none:
  // all that it does is done here, and default_bridge is then where a link goes that has no bridge of its own.
  std::string external_script, default_bridge;
  std::string cache_dir() const { return conf.template_dir + "/cache"; }
};

// Reads vz.conf, and vznet.conf if there is one. Code::no_global_config when it is absent.
Result<Host> load_host();

// The memory and threads of this machine.
Result<config::HostSize> host_size();

}  // namespace vz::runtime
