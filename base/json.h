// JSON by nlohmann-json; its parser and printer, which take long to compile, are in json.cpp alone.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/strings.h"

namespace vz {

using Json = nlohmann::ordered_json;

// In one line, ASCII only. Bytes that are not UTF-8 are replaced, here and below.
std::string print_json(const Json& value);
// Indented, for people.
std::string pretty_json(const Json& value);
// Throws Json::exception: for read_json().
Json parse_json(std::string_view text);

// READ(const Json&) of foreign TEXT (not "from_json": nlohmann finds that name by its argument). Code::invalid when it
// is no JSON, or when READ misses a key or meets another type than it asks for.
template <class Read>
auto read_json(std::string_view text, Read read) -> decltype(read(std::declval<const Json&>())) {
  try {
    return read(parse_json(text));
  } catch (const Json::exception& e) {
    return fail(Code::invalid, "{}", printable(e.what()));
  }
}

}  // namespace vz
