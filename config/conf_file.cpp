#include <algorithm>
#include <unordered_set>

#include <fmt/format.h>

#include "base/strings.h"
#include "config/config.h"

namespace vz::config {

namespace {

bool name_char(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool shell_name(std::string_view s) {
  return !s.empty() && !(s[0] >= '0' && s[0] <= '9') && std::all_of(s.begin(), s.end(), name_char);
}

std::string unescape(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  for (size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '\\' && ++i == s.size()) break;
    out += s[i];
  }
  return out;
}

// TEXT is what follows '=', unescaped.
std::string_view unquote(std::string_view text) {
  text = text.substr(0, text.find_last_not_of(" \t\r\n\v\f") + 1);
  if (text.empty() || text[0] != '"') return text;
  const size_t end = text.rfind('"');
  return end == 0 ? text.substr(1) : text.substr(1, end - 1);
}

// False when LINE is not KEY=VALUE.
bool read_assignment(std::string_view line, std::string_view& key, std::string& value) {
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos || !shell_name(line.substr(0, equals))) return false;
  key = line.substr(0, equals);
  line.remove_prefix(equals + 1);
  value = line.find('\\') == std::string_view::npos ? unquote(line) : unquote(unescape(line));
  return true;
}

std::string_view next_line(std::string_view& rest) {
  const std::string_view line = rest.substr(0, std::min(rest.find('\n'), rest.size() - 1) + 1);
  rest.remove_prefix(line.size());
  return line;
}

// Length of a $VEID or ${VEID} at the start of TEXT that a shell would read as that variable; 0: none.
size_t veid_length(std::string_view text) {
  if (text.starts_with("${VEID}")) return 7;
  return text.starts_with("$VEID") && (text.size() == 5 || !name_char(text[5])) ? 5 : 0;
}

bool is_place(std::string_view key) { return key == "VE_ROOT" || key == "VE_PRIVATE"; }

// For a shell's double quotes, which is also what unescape() and unquote() undo.
std::string escape(std::string_view value, bool keep_veid) {
  std::string out;
  while (!value.empty()) {
    const size_t keep = keep_veid ? veid_length(value) : 0;
    if (!keep && std::string_view("$`\\\"").find(value[0]) != std::string_view::npos) out += '\\';
    out += value.substr(0, std::max<size_t>(keep, 1));
    value.remove_prefix(std::max<size_t>(keep, 1));
  }
  return out;
}

}  // namespace

File File::parse(std::string_view text, std::vector<std::string>* warnings) {
  File file;
  file.lines_.reserve(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  std::unordered_set<std::string_view> seen;
  const auto warn = [&](std::string what) {
    if (warnings) warnings->push_back(fmt::format("line {}: {}", file.lines_.size() + 1, what));
  };
  while (!text.empty()) {
    Line line;
    const std::string_view raw = next_line(text), body = trim(raw);
    line.raw = raw;
    std::string_view key;
    if (body.empty() || body[0] == '#') {
      // kept as it is
    } else if (!read_assignment(raw, key, line.value)) {
      warn("neither a comment nor KEY=\"VALUE\", ignored");
    } else {
      line.key = key;
      line.duplicate = !seen.insert(key).second;
      if (line.duplicate) warn(fmt::format("duplicate {} ignored", key));
    }
    file.lines_.push_back(std::move(line));
  }
  return file;
}

std::optional<std::string> File::get(std::string_view key) const {
  if (key.empty()) return std::nullopt;
  for (const Line& line : lines_)
    if (line.key == key) return line.value;
  return std::nullopt;
}

Result<void> File::set(std::string_view key, std::string_view value) {
  if (!shell_name(key)) return fail(Code::invalid, "'{}' is not a parameter name", printable(key));
  if (value.find('\n') != std::string_view::npos || value.find('\0') != std::string_view::npos)
    return fail(Code::invalid, "{}: a value cannot hold a line break or a NUL byte", key);
  Line line;
  line.raw = fmt::format("{}=\"{}\"\n", key, escape(value, is_place(key)));
  line.key = key;
  line.value = value;
  std::erase_if(lines_, [&](const Line& l) { return l.duplicate && l.key == key; });
  for (Line& old : lines_)
    if (old.key == key) {
      old = std::move(line);
      return {};
    }
  if (!lines_.empty() && lines_.back().raw.back() != '\n') lines_.back().raw += '\n';
  lines_.push_back(std::move(line));
  return {};
}

void File::erase(std::string_view key) {
  if (!key.empty()) std::erase_if(lines_, [&](const Line& l) { return l.key == key; });
}

std::string File::text() const {
  std::string out;
  for (const Line& line : lines_) out += line.raw;
  return out;
}

std::vector<std::pair<std::string, std::string>> File::entries() const {
  std::vector<std::pair<std::string, std::string>> out;
  out.reserve(lines_.size());
  for (const Line& line : lines_)
    if (!line.key.empty() && !line.duplicate) out.emplace_back(line.key, line.value);
  return out;
}

}  // namespace vz::config
