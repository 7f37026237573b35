#include "config/ubc.h"

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "config/beans.h"

namespace vz::config {

namespace {

constexpr std::string_view kUbcVersion = "2.5";

bool valid_ct(std::string_view text) {
  const auto fits = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), fits);
}

bool valid_resource(std::string_view text) {
  return !text.empty() && text.size() <= 32 &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

Result<UbcRow> parse_row(std::span<const std::string_view> fields) {
  constexpr size_t kFields = 6;
  if (fields.size() != kFields || !valid_resource(fields[0])) return fail(Code::invalid, "no row of six fields");
  UbcRow row{.name = std::string(fields[0])};
  uint64_t* const numbers[] = {&row.held, &row.maxheld, &row.barrier, &row.limit, &row.failcnt};
  for (size_t i = 0; i < std::size(numbers); ++i) {
    const auto number = parse_u64(fields[i + 1]);
    if (!number) return fail(Code::invalid, "'{}' is no number", printable(fields[i + 1]));
    *numbers[i] = *number;
  }
  return row;
}

// ---- print --------------------------------------------------------------------------------------------------------

constexpr std::string_view kDummy = "dummy", kSwap = "swappages";

// The kernel's table has gaps where beancounters were once.
std::vector<std::string_view> user_rows() {
  std::vector<std::string_view> out;
  for (const BeanKind& kind : bean_kinds()) {
    if (kind.name == kSwap) continue;
    const size_t gaps = kind.name == "numproc" ? 1 : kind.name == "numiptent" ? 3 : 0;
    out.insert(out.end(), gaps, kDummy);
    out.push_back(kind.name);
  }
  return out;
}

std::vector<std::string_view> bc_rows() {
  std::vector<std::string_view> out;
  for (const BeanKind& kind : bean_kinds()) out.push_back(kind.name);
  return out;
}

void print_rows(std::string& out, const UbcTable& table, const std::vector<std::string_view>& names, bool with_ct) {
  for (const std::string_view name : names) {
    const UbcRow* found = table.find(name);
    const UbcRow none{.name = {}, .barrier = kUnlimited, .limit = kUnlimited};
    const UbcRow& row = found ? *found : none;
    const auto shown = [](uint64_t v) { return std::min(v, kUnlimited); };
    const std::string ct = with_ct && name == names.front() ? table.ct + ":" : std::string();
    out += fmt::format("{:>10}  {:<12} {:>20} {:>20} {:>20} {:>20} {:>20}\n", ct, name, shown(row.held),
                       shown(row.maxheld), shown(row.barrier), shown(row.limit), shown(row.failcnt));
  }
}

std::string print_tables(const std::vector<UbcTable>& tables, const std::vector<std::string_view>& names) {
  std::string out = fmt::format("Version: {}\n{:>10}  {:<12} {:>20} {:>20} {:>20} {:>20} {:>20}\n", kUbcVersion, "uid",
                                "resource", "held", "maxheld", "barrier", "limit", "failcnt");
  for (const UbcTable& table : tables) print_rows(out, table, names, true);
  return out;
}

// INT32_MAX is a 32-bit kernel's "unlimited".
bool is_limit(uint64_t v) { return v != 0 && v < kUnlimited && v != INT32_MAX; }

uint64_t plus_bytes(uint64_t a, uint64_t b) { return a >= kUnlimited || b >= kUnlimited - a ? kUnlimited : a + b; }

constexpr auto kFlags = std::to_array<OversellFlag>({
    {'R', "memory is not limited as a whole: half of privvmpages is taken for the limit"},
    {'U', "memory has no limit: left out of the sums"},
    {'S', "swap space has no limit: left out of the sums"},
    {'f', "memory was refused"},
    {'F', "something else than memory was refused"},
});

Sold sold(const UbcRow* row) {
  if (!row) return {.limit = kUnlimited};
  return {.used = in_bytes(*row, row->held),
          .peak = in_bytes(*row, std::max(row->held, row->maxheld)),
          .limit = is_limit(row->limit) ? in_bytes(*row, row->limit) : kUnlimited,
          .failures = row->failcnt};
}

}  // namespace

const UbcRow* UbcTable::find(std::string_view name) const {
  const auto it = std::find_if(rows.begin(), rows.end(), [&](const UbcRow& r) { return r.name == name; });
  return it == rows.end() ? nullptr : &*it;
}

Result<std::vector<UbcTable>> parse_ubc(std::string_view text) {
  std::vector<UbcTable> out;
  size_t number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    const auto all = words(line);
    std::span<const std::string_view> fields = all;
    if (number == 1) {
      if (all.size() != 2 || all[0] != "Version:" || all[1] != kUbcVersion)
        return fail(Code::invalid, "line 1: 'Version: {}' expected", kUbcVersion);
      continue;
    }
    if (fields.empty() || fields[0] == "uid") continue;
    if (fields[0].ends_with(':')) {
      const std::string_view ct = fields[0].substr(0, fields[0].size() - 1);
      if (!valid_ct(ct)) return fail(Code::invalid, "line {}: '{}' is no container", number, printable(ct));
      out.push_back({std::string(ct), {}});
      fields = fields.subspan(1);
    }
    if (out.empty()) return fail(Code::invalid, "line {}: a row of no container", number);
    TRY_AS(UbcRow row, parse_row(fields), "line {}", number);
    if (row.name != "dummy") out.back().rows.push_back(std::move(row));
  }
  if (number == 0) return fail(Code::invalid, "no beancounters in it");
  return out;
}

std::string print_user_beancounters(const std::vector<UbcTable>& tables) { return print_tables(tables, user_rows()); }

std::string print_ubc(const std::vector<UbcTable>& tables) { return print_tables(tables, bc_rows()); }

std::string print_ubc(const UbcTable& table) {
  std::string out;
  print_rows(out, table, bc_rows(), false);
  return out;
}

uint64_t first_limit(const UbcRow& row) {
  const uint64_t barrier = is_limit(row.barrier) ? row.barrier : kUnlimited;
  const uint64_t limit = is_limit(row.limit) ? row.limit : kUnlimited;
  return std::min(barrier, limit) >= kUnlimited ? 0 : std::min(barrier, limit);
}

uint64_t in_bytes(const UbcRow& row, uint64_t value) {
  const BeanKind* kind = find_bean(row.name);
  if (!kind || kind->unit != kPageSize) return value;
  return value > kUnlimited / kPageSize || value == INT32_MAX ? kUnlimited : value * kPageSize;
}

std::string scaled_size(uint64_t value) {
  constexpr double kStep = 1024, kMost = 1023.5;
  constexpr std::string_view kSuffixes = "KMGTPE";
  if (!is_limit(value)) return "-";
  auto scaled = static_cast<double>(value);
  if (value < 1024) return std::to_string(value);
  size_t suffix = 0;
  for (scaled /= kStep; scaled >= kMost && suffix + 1 < kSuffixes.size(); ++suffix) scaled /= kStep;
  const int digits = scaled < 9.995 ? 2 : scaled < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", scaled, digits, kSuffixes[suffix]);
}

std::span<const OversellFlag> oversell_flags() { return kFlags; }

Oversold oversold(const UbcTable& table) {
  Oversold o{.ct = table.ct, .ram = sold(table.find("physpages")), .swap = sold(table.find("swappages")), .flags = {}};
  if (o.ram.limit >= kUnlimited) {
    const Sold allocation = sold(table.find("privvmpages"));
    const bool guessed = table.find("privvmpages") && allocation.limit < kUnlimited;
    o.flags += guessed ? 'R' : 'U';
    if (guessed) o.ram.limit = allocation.limit / 2;
  } else if (table.find("swappages") && o.swap.limit >= kUnlimited) {
    o.flags += 'S';
  }
  const bool others = std::any_of(table.rows.begin(), table.rows.end(), [](const UbcRow& r) {
    return r.failcnt != 0 && r.name != "physpages" && r.name != "swappages";
  });
  if (others)
    o.flags += 'F';
  else if (o.ram.failures != 0 || o.swap.failures != 0)
    o.flags += 'f';
  return o;
}

Oversold total(const std::vector<Oversold>& all) {
  Oversold sum{.ct = "TOTAL", .ram = {}, .swap = {}, .flags = {}};
  const auto add = [](Sold& to, const Sold& from) {
    to.used = plus_bytes(to.used, from.used);
    to.peak = plus_bytes(to.peak, from.peak);
    if (from.limit < kUnlimited) to.limit = plus_bytes(to.limit, from.limit);
    to.failures = plus_bytes(to.failures, from.failures);
  };
  for (const Oversold& o : all) {
    add(sum.ram, o.ram);
    add(sum.swap, o.swap);
  }
  return sum;
}

}  // namespace vz::config
