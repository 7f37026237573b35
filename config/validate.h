// The rules that the values of one configuration must keep among each other. Text in, text out.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "config/config.h"
#include "config/host_size.h"

namespace vz::config {

enum class Severity { error, warning, recommendation };

struct Finding {
  Severity severity = Severity::error;
  std::string key;   // empty: it is about no single parameter
  std::string text;  // a sentence without its end
  std::optional<BarrierLimit> repair = {};
};

struct Validation {
  bool valid = true;  // no error is left
  bool changed = false;
  std::string text;  // with what was repaired
};

// TEXT is that of a CTID.conf or a sample. REPAIR hears of each finding, in order; its answer whether to repair counts
// where there is a repair, and later rules see the repaired value. Rules about parameters that are not set do not
// apply. VSWAP: the rules for memory limited as a whole, or those for beancounters, which then must all be set;
// nullopt: as PHYSPAGES says.
Validation validate(std::string_view text, const HostSize& host, std::optional<bool> vswap,
                    const std::function<bool(const Finding&)>& repair);

}  // namespace vz::config
