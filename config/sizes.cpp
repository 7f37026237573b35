#include <algorithm>

#include "base/strings.h"
#include "config/config.h"

namespace vz::config {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool all_digits(std::string_view s) { return std::all_of(s.begin(), s.end(), is_digit); }

// Bytes of a suffix in either case; nullopt: none such.
std::optional<uint64_t> suffix_bytes(char c) {
  constexpr std::pair<char, uint64_t> kSuffixes[] = {{'B', 1},        {'P', kPageSize}, {'K', 1u << 10},
                                                     {'M', 1u << 20}, {'G', 1u << 30},  {'T', uint64_t{1} << 40}};
  for (const auto& [name, bytes] : kSuffixes)
    if (c == name || c == name - 'A' + 'a') return bytes;
  return std::nullopt;
}

// Too much for a number means no limit.
uint64_t saturated(std::string_view digits) { return std::min(parse_u64(digits).value_or(kUnlimited), kUnlimited); }

// Floor of 0.DIGITS * BYTES, exact for any number of digits.
uint64_t fraction_of(std::string_view digits, uint64_t bytes) {
  uint64_t sum = 0;
  for (auto d = digits.rbegin(); d != digits.rend(); ++d) sum = (static_cast<uint64_t>(*d - '0') * bytes + sum) / 10;
  return sum;
}

Error bad_size(std::string_view text, uint64_t unit) {
  return fail(
      Code::invalid, "'{}' is not a {}", printable(text),
      unit == kItems ? "number (or 'unlimited')" : "size: a number, perhaps with a suffix B K M G T P, or 'unlimited'");
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text, uint64_t unit) {
  if (text == "unlimited") return kUnlimited;
  if (!text.empty() && all_digits(text)) return saturated(text);
  if (text.empty() || unit == kItems) return bad_size(text, unit);
  const auto bytes = suffix_bytes(text.back());
  const std::string_view number = text.substr(0, text.size() - 1);
  const size_t point = number.find('.');
  const std::string_view whole = number.substr(0, point);
  const std::string_view part = point == std::string_view::npos ? std::string_view() : number.substr(point + 1);
  if (!bytes || whole.empty() || !all_digits(whole) || !all_digits(part) || number.back() == '.')
    return bad_size(text, unit);
  const uint64_t count = saturated(whole), rest = fraction_of(part, *bytes);
  if (count > (kUnlimited - rest) / *bytes) return kUnlimited;
  return (count * *bytes + rest) / unit;
}

Result<BarrierLimit> parse_barrier_limit(std::string_view text, uint64_t unit) {
  const size_t colon = text.find(':');
  BarrierLimit v;
  TRY_AS(v.barrier, parse_size(text.substr(0, colon), unit));
  v.limit = v.barrier;
  if (colon == std::string_view::npos) return v;
  TRY_AS(v.limit, parse_size(text.substr(colon + 1), unit));
  return v;
}

std::string print_barrier_limit(const BarrierLimit& v) {
  const auto print = [](uint64_t n) { return n >= kUnlimited ? std::string("unlimited") : std::to_string(n); };
  return v.barrier == v.limit ? print(v.barrier) : print(v.barrier) + ":" + print(v.limit);
}

}  // namespace vz::config
