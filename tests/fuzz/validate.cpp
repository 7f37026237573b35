// What vzcfgvalidate has repaired, it finds nothing wrong with.
#include "config/validate.h"

#include <cstddef>
#include <cstdint>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vz;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const config::HostSize host{.ram = 1u << 30, .swap = 1u << 30, .low = 1u << 30, .threads = 10000};
  const auto repaired = config::validate(text, host, {}, [](const config::Finding&) { return true; });
  fuzz::must(repaired.changed || repaired.text == text, "changes without a repair");
  if (!repaired.valid) return 0;
  const auto again = config::validate(repaired.text, host, {}, [](const config::Finding& f) {
    fuzz::must(!f.repair, "is to be repaired again", f.key + ": " + f.text);
    return false;
  });
  fuzz::must(again.valid, "is not valid after the repair");
  return 0;
}
