#include "templates/apt_sources.h"

#include <algorithm>

#include "base/strings.h"
#include "sys/files.h"

namespace vz::templates {

namespace {

constexpr std::string_view kReleases[] = {"stable",   "testing",  "unstable", "oldstable", "sid", "buster",
                                          "bullseye", "bookworm", "trixie",   "forky",     "duke"};
constexpr std::string_view kSchemes[] = {"http://", "https://", "ftp://"};
constexpr std::string_view kDebianKey = "debian-archive-keyring";

std::vector<std::string> strings(std::string_view text) {
  const auto w = words(text);
  return {w.begin(), w.end()};
}

bool contains(const std::vector<std::string>& list, std::string_view what) {
  return std::find(list.begin(), list.end(), what) != list.end();
}

bool is_release(std::string_view suite) {
  return std::find(std::begin(kReleases), std::end(kReleases), suite) != std::end(kReleases);
}

// "bookworm-updates" with ENDING "-updates".
bool is_release_with(std::string_view suite, std::string_view ending) {
  return suite.ends_with(ending) && is_release(suite.substr(0, suite.size() - ending.size()));
}

bool is_debian(const AptSource& s) {
  return contains(s.components, "main") && (s.signed_by.empty() || s.signed_by.find(kDebianKey) != std::string::npos);
}

std::string first_uri(const AptSource& s) {
  for (const std::string& uri : s.uris)
    for (const std::string_view scheme : kSchemes)
      if (uri.starts_with(scheme)) return uri;
  return "";
}

template <class Test>
bool any_suite(const AptSource& s, Test test) {
  return std::any_of(s.suites.begin(), s.suites.end(), test);
}

// "[arch=amd64 signed-by=/k.gpg] REST": takes the brackets off.
std::string take_options(std::string_view& rest) {
  rest = trim(rest);
  if (!rest.starts_with('[')) return "";
  const size_t end = rest.find(']');
  const std::string_view inside = rest.substr(1, end == std::string_view::npos ? end : end - 1);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  constexpr std::string_view kKey = "signed-by=";
  for (const std::string_view word : words(inside))
    if (word.starts_with(kKey)) return std::string(word.substr(kKey.size()));
  return "";
}

struct Stanza {
  AptSource source;
  bool binary = false, enabled = true;
};

void set_field(Stanza& s, const std::string& key, std::string_view value) {
  if (key == "types") s.binary = contains(strings(value), "deb");
  if (key == "enabled") s.enabled = to_lower(trim(value)) != "no";
  if (key == "uris") s.source.uris = strings(value);
  if (key == "suites") s.source.suites = strings(value);
  if (key == "components") s.source.components = strings(value);
  if (key == "signed-by") s.source.signed_by = trim(value);
}

}  // namespace

std::vector<AptSource> parse_sources_list(std::string_view text) {
  std::vector<AptSource> out;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line.substr(0, line.find('#')));
    if (!line.starts_with("deb ") && !line.starts_with("deb\t")) continue;
    line.remove_prefix(4);
    AptSource s;
    s.signed_by = take_options(line);
    const auto w = strings(line);
    if (w.size() < 3) continue;
    s.uris = {w[0]};
    s.suites = {w[1]};
    s.components.assign(w.begin() + 2, w.end());
    out.push_back(std::move(s));
  }
  return out;
}

std::vector<AptSource> parse_deb822_sources(std::string_view text) {
  std::vector<AptSource> out;
  Stanza stanza;
  std::string key, value;
  const auto end_field = [&] {
    set_field(stanza, key, value);
    key.clear();
    value.clear();
  };
  const auto end_stanza = [&] {
    end_field();
    if (stanza.binary && stanza.enabled) out.push_back(std::move(stanza.source));
    stanza = {};
  };
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with('#')) continue;
    if (trim(line).empty()) {
      end_stanza();
    } else if (line.front() == ' ' || line.front() == '\t') {
      value += ' ';
      value += trim(line);
    } else {
      end_field();
      const size_t colon = line.find(':');
      key = to_lower(trim(line.substr(0, colon)));
      value = colon == std::string_view::npos ? "" : trim(line.substr(colon + 1));
    }
  }
  end_stanza();
  return out;
}

std::optional<Mirror> pick_mirror(const std::vector<AptSource>& sources) {
  Mirror m;
  for (const AptSource& s : sources) {
    if (!is_debian(s) || first_uri(s).empty()) continue;
    if (m.main.empty() && any_suite(s, is_release)) m.main = first_uri(s);
    if (any_suite(s, [](const std::string& suite) { return is_release_with(suite, "-updates"); })) m.updates = true;
    if (m.security.empty() &&
        any_suite(s, [](const std::string& suite) { return is_release_with(suite, "-security"); }))
      m.security = first_uri(s);
  }
  if (m.main.empty()) return std::nullopt;
  return m;
}

Result<Mirror> find_mirror(const std::string& apt_dir) {
  std::vector<AptSource> sources;
  const auto add = [&sources](std::vector<AptSource> more) {
    sources.insert(sources.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  };
  const std::string list = apt_dir + "/sources.list", parts = list + ".d";
  if (const auto text = sys::read_file(list)) add(parse_sources_list(*text));
  const auto names = sys::list_dir(parts).value_or({});
  for (const std::string& name : names) {
    const auto text = sys::read_file(parts + "/" + name);
    if (!text) continue;
    if (name.ends_with(".list")) add(parse_sources_list(*text));
    if (name.ends_with(".sources")) add(parse_deb822_sources(*text));
  }
  if (auto mirror = pick_mirror(sources)) return std::move(*mirror);
  return fail(Code::not_found, "no Debian mirror in '{}' and '{}'; name one with --mirror URI", list, parts);
}

}  // namespace vz::templates
