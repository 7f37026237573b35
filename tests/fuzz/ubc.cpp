// Beancounters of another host, as vzubc and vzoversell take them.
#include "config/ubc.h"

#include <cstddef>
#include <cstdint>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vz;
  const auto all = config::parse_ubc({reinterpret_cast<const char*>(data), size});
  if (!all) return 0;
  std::vector<config::Oversold> sold;
  for (const config::UbcTable& table : *all) {
    fuzz::must(table.ct.find_first_of("/.") == std::string::npos, "names a file elsewhere", table.ct);
    sold.push_back(config::oversold(table));
    for (const config::UbcRow& row : table.rows) {
      fuzz::must(row.name.find_first_of("/.") == std::string::npos, "names a file elsewhere", row.name);
      fuzz::must(config::scaled_size(config::in_bytes(row, row.held)).size() <= 5, "is too long", row.name);
      (void)config::first_limit(row);
    }
  }
  (void)config::total(sold);
  return 0;
}
