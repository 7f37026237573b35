// Text helpers. Nothing here allocates a surprise or throws on bad input: parsers return nullopt.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vz {

std::string_view trim(std::string_view s);
// "a,b,,c" -> {"a","b","","c"}; "" -> {}.
std::vector<std::string_view> split(std::string_view s, char sep);
// Words separated by any white space; no empty words.
std::vector<std::string_view> words(std::string_view s);
std::string join(const std::vector<std::string>& parts, std::string_view sep);
std::string to_lower(std::string_view s);
std::string to_upper(std::string_view s);
// Decimal digits only, no sign, no white space; nullopt on anything else and on overflow.
std::optional<uint64_t> parse_u64(std::string_view s);
// Hexadecimal digits only, otherwise as above.
std::optional<uint64_t> parse_hex(std::string_view s);
// The number behind KEY in "key 1\nother 2 kB\n".
std::optional<uint64_t> find_number(std::string_view text, std::string_view key);
std::string replace_all(std::string s, std::string_view from, std::string_view to);
// Printable form of foreign text: control and non-ASCII bytes become \xNN.
std::string printable(std::string_view s);
// A word for /bin/sh: 'it'\''s'.
std::string shell_quote(std::string_view s);

// A list as the kernel writes those of CPUs: "0-3,5"; ascending, each once. nullopt: it is none, or has one above MOST.
std::optional<std::vector<uint32_t>> parse_numbers(std::string_view text, uint32_t most);
std::string print_numbers(const std::vector<uint32_t>& numbers);

}  // namespace vz
