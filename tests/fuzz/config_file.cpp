// CTID.conf and vz.conf as anybody may have written them.
#include <cstddef>
#include <cstdint>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vz;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::vector<std::string> warnings;
  const config::File file = config::File::parse(text, &warnings);
  fuzz::must(file.text() == text, "a file changes by being read");
  (void)config::load_global(file, &warnings);
  config::CtSpec spec;
  config::load(file, 101, spec, &warnings);
  fuzz::must_round_trip(spec, file);
  return 0;
}
