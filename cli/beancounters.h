// Where vzubc(8) and vzoversell(8) have their numbers from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "config/ubc.h"

namespace vz::cli {

// Of FILE, "-" is standard input; without, of the containers that run here, which takes root.
Result<std::vector<config::UbcTable>> read_beancounters(const std::optional<std::string>& file);
// A number where it is one.
Json ctid_json(const std::string& ct);

}  // namespace vz::cli
