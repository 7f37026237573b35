// The text of /proc/user_beancounters and /proc/bc/resources, and what is worked out of it. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/host_size.h"

namespace vz::config {

// In units of the kind that NAME is of (beans.h); kUnlimited or more: no limit.
struct UbcRow {
  std::string name;
  uint64_t held = 0, maxheld = 0, barrier = 0, limit = 0, failcnt = 0;
};
struct UbcTable {
  std::string ct;  // a number; from newer kernels also a UUID: letters, digits and '-', fit for a file name
  std::vector<UbcRow> rows;
  const UbcRow* find(std::string_view name) const;
};
// Without dummy rows. Code::invalid names the line.
Result<std::vector<UbcTable>> parse_ubc(std::string_view text);
// As a 64-bit kernel prints them: /proc/user_beancounters, /proc/bc/resources and /proc/bc/CT/resources. A row that a
// table lacks: nothing held, no limit.
std::string print_user_beancounters(const std::vector<UbcTable>& tables);
std::string print_ubc(const std::vector<UbcTable>& tables);
std::string print_ubc(const UbcTable& table);

// What of the row's limits comes first; 0: none of them.
uint64_t first_limit(const UbcRow& row);
// In bytes where it is a size: pages are 4096 of them.
uint64_t in_bytes(const UbcRow& row, uint64_t value);
// Five characters at most: "123", "2.53M", "1023G"; "-" for none and no limit.
std::string scaled_size(uint64_t value);

// Memory that one container or all have, in bytes.
struct Sold {
  uint64_t used = 0, peak = 0, limit = 0, failures = 0;
};
struct Oversold {
  std::string ct;
  Sold ram, swap;
  std::string flags;  // of kOversellFlags
};
struct OversellFlag {
  char flag;
  std::string_view meaning;
};
std::span<const OversellFlag> oversell_flags();
Oversold oversold(const UbcTable& table);
Oversold total(const std::vector<Oversold>& all);  // a limit that is none counts nothing

}  // namespace vz::config
