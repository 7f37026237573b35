// The machine's own apt sources, for the mirror that Debian templates are built from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::templates {

// One line or stanza of binary packages that is not disabled.
struct AptSource {
  std::vector<std::string> uris, suites, components;
  std::string signed_by;
};

std::vector<AptSource> parse_sources_list(std::string_view text);    // one-line style, sources.list(5)
std::vector<AptSource> parse_deb822_sources(std::string_view text);  // stanzas, *.sources

struct Mirror {
  std::string main;      // URI
  std::string security;  // empty: the machine has none
  bool updates = false;  // the machine also takes SUITE-updates from it
};

// The first source that is a Debian archive, of whatever release; others' archives are told from it by their suites,
// their components and their own keys.
std::optional<Mirror> pick_mirror(const std::vector<AptSource>& sources);
// Reads APT_DIR/sources.list and APT_DIR/sources.list.d. Code::not_found says what to do.
Result<Mirror> find_mirror(const std::string& apt_dir);

}  // namespace vz::templates
