#include "base/strings.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace vz {

namespace {
bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
template <class F>
std::string map_chars(std::string_view s, F f) {
  std::string out(s);
  std::transform(out.begin(), out.end(), out.begin(), f);
  return out;
}
}  // namespace

std::string_view trim(std::string_view s) {
  while (!s.empty() && is_space(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_space(s.back())) s.remove_suffix(1);
  return s;
}

std::vector<std::string_view> split(std::string_view s, char sep) {
  std::vector<std::string_view> out;
  if (s.empty()) return out;
  for (size_t pos; (pos = s.find(sep)) != std::string_view::npos; s.remove_prefix(pos + 1))
    out.push_back(s.substr(0, pos));
  out.push_back(s);
  return out;
}

std::vector<std::string_view> words(std::string_view s) {
  std::vector<std::string_view> out;
  while (!(s = trim(s)).empty()) {
    const size_t end = std::find_if(s.begin(), s.end(), is_space) - s.begin();
    out.push_back(s.substr(0, end));
    s.remove_prefix(end);
  }
  return out;
}

std::string join(const std::vector<std::string>& parts, std::string_view sep) {
  std::string out;
  for (const std::string& p : parts) {
    if (&p != &parts.front()) out += sep;
    out += p;
  }
  return out;
}

std::string to_lower(std::string_view s) {
  return map_chars(s, [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
}

std::string to_upper(std::string_view s) {
  return map_chars(s, [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
}

static std::optional<uint64_t> parse_digits(std::string_view s, int base) {
  uint64_t value = 0;
  const auto [end, err] = std::from_chars(s.data(), s.data() + s.size(), value, base);
  if (err != std::errc() || end != s.data() + s.size()) return std::nullopt;
  return value;
}

std::optional<uint64_t> parse_u64(std::string_view s) { return parse_digits(s, 10); }
std::optional<uint64_t> parse_hex(std::string_view s) { return parse_digits(s, 16); }

std::optional<uint64_t> find_number(std::string_view text, std::string_view key) {
  for (const std::string_view line : split(text, '\n'))
    if (const auto w = words(line); w.size() >= 2 && w[0] == key) return parse_u64(w[1]);
  return std::nullopt;
}

std::string replace_all(std::string s, std::string_view from, std::string_view to) {
  for (size_t pos = 0; (pos = s.find(from, pos)) != std::string::npos; pos += to.size())
    s.replace(pos, from.size(), to);
  return s;
}

std::string printable(std::string_view s) {
  std::string out;
  for (const char c : s) {
    if (c >= ' ' && c <= '~')
      out += c;
    else
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out;
}

std::string shell_quote(std::string_view s) { return fmt::format("'{}'", replace_all(std::string(s), "'", "'\\''")); }

std::optional<std::vector<uint32_t>> parse_numbers(std::string_view text, uint32_t most) {
  if (text.empty()) return std::nullopt;
  std::vector<uint32_t> out;
  for (const std::string_view part : split(text, ',')) {
    const size_t dash = std::min(part.find('-'), part.size());
    const auto first = parse_u64(part.substr(0, dash));
    const auto last = dash == part.size() ? first : parse_u64(part.substr(dash + 1));
    if (!first || !last || *first > *last || *last > most) return std::nullopt;
    for (uint64_t n = *first; n <= *last; ++n) out.push_back(static_cast<uint32_t>(n));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::string print_numbers(const std::vector<uint32_t>& numbers) {
  std::string out;
  for (size_t i = 0; i < numbers.size(); ++i) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    out += (out.empty() ? "" : ",") + std::to_string(numbers[i]);
    if (last > i) out += "-" + std::to_string(numbers[last]);
    i = last;
  }
  return out;
}

}  // namespace vz
