// The options of vzctl set: each line is the number of a row of the table, as one byte, and the option's value.
#include <cstddef>
#include <cstdint>

#include "base/strings.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vz;
  config::CtSpec spec;
  for (const std::string_view line : split({reinterpret_cast<const char*>(data), size}, '\n')) {
    if (line.empty()) continue;
    const auto& table = config::table();
    const config::Param& param = table[static_cast<uint8_t>(line[0]) % table.size()];
    if (param.option.empty()) continue;
    config::CtSpec changed = spec;
    if (config::apply(changed, {{&param, std::string(line.substr(1))}})) spec = changed;
  }
  config::expand_places(spec, 101);
  fuzz::must_round_trip(spec, {});
  return 0;
}
