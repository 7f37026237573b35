// Making a container from an OS template.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

// ve-NAME.conf-sample with itself as ORIGIN_SAMPLE; empty for no name. Code::config_sample_missing.
Result<config::File> read_sample(const Host& host, const std::string& name);

struct CreateOptions {
  std::optional<std::string> sample;      // --config NAME, else vz.conf's CONFIGFILE
  std::optional<std::string> ostemplate;  // else the sample's, else DEF_OSTEMPLATE
  // Command line options over the sample's values, applied to the new CTID.conf.
  std::function<Result<void>(config::File&)> apply;
};

// Private area, CTID.conf and name appear together or not at all (a kill half-way leaves only what the next create or
// destroy of the CTID removes). Errors: private_exists, template_missing, config_sample_missing, no_space,
// invalid (another CT has the same range of ids), script_failed (vps.create) ...
Result<Container> create(const Host& host, config::CtId id, const CreateOptions& options);

}  // namespace vz::runtime
