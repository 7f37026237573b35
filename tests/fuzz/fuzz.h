// What the targets have in common: see run.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "config/config.h"

namespace vz::fuzz {

inline void must(bool holds, std::string_view what, std::string_view of = "") {
  if (holds) return;
  std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(of.size()), of.data(), static_cast<int>(what.size()),
               what.data());
  std::abort();
}

// What a configuration was read to be is saved, and reads back the same.
inline void must_round_trip(const config::CtSpec& spec, config::File file) {
  std::set<std::string_view> seen;
  for (const config::Param& param : config::table()) {
    if (param.key.empty() || !seen.insert(param.key).second) continue;
    const auto text = param.print(spec);
    if (!text) continue;
    must(static_cast<bool>(file.set(param.key, *text)), "cannot be saved", param.key);
    must(config::File::parse(file.text()).get(param.key) == *text, "is saved as something else", param.key);
  }
  config::CtSpec again;
  config::load(config::File::parse(file.text()), 101, again);
  for (const config::Param& param : config::table())  // an empty value is read as none
    if (!param.key.empty())
      must(param.print(again).value_or("") == param.print(spec).value_or(""), "reads back as something else",
           param.key);
}

}  // namespace vz::fuzz
