#include "runtime/ps_view.h"

#include <fmt/core.h>

#include <algorithm>
#include <limits>

#include "base/strings.h"

namespace vz::runtime {

namespace {

// Letters of options that have a value, of those that choose processes (but many of them, as -E does itself), of those
// that choose all columns, and of the one for no header.
struct Style {
  std::string_view with_value, selecting, columns, no_header;
};
constexpr Style kUnix{"CGOgknopqstUu", "NCGgpqstUu", "o", "h"};
constexpr Style kBsd{"OkopqtU", "prtTUq", "o", "h"};

constexpr std::string_view kLongSelecting[] = {"--deselect",  "--Group", "--group", "--pid",  "--ppid",
                                               "--quick-pid", "--sid",   "--tty",   "--User", "--user"};
constexpr std::string_view kNoHeader[] = {"--no-header", "--no-headers", "--no-heading", "--no-headings",
                                          "--noheader",  "--noheaders",  "--noheading",  "--noheadings"};

bool has(std::string_view letters, char c) { return letters.find(c) != std::string_view::npos; }

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

class PsParser {
 public:
  PsParser(const std::vector<std::string>& words, const std::function<bool(const std::string&)>& is_ct)
      : words_(words), is_ct_(is_ct) {}

  PsRequest parse() {
    while (at_ < words_.size()) {
      const std::string word = words_[at_++];
      if (word.starts_with("--"))
        long_option(word);
      else if (word.starts_with("-"))
        cluster(word.substr(1), kUnix, "-");
      else
        cluster(word, kBsd, "");
    }
    // Without a header the PID's column is not to be found.
    if (!request_.own_columns) std::erase_if(request_.words, [](const std::string& w) { return is_no_header(w); });
    if (request_.own_columns && !request_.header) request_.words.emplace_back("--no-headers");
    if (request_.of_containers && !selects_) request_.words.emplace_back("-e");
    if (request_.own_columns) request_.words.insert(request_.words.begin(), {"-o", "pid="});
    return std::move(request_);
  }

 private:
  static bool is_no_header(std::string_view word) {
    return std::find(std::begin(kNoHeader), std::end(kNoHeader), word) != std::end(kNoHeader);
  }

  void long_option(const std::string& word) {
    const std::string name = word.substr(0, word.find('='));
    if (is_no_header(name)) {
      request_.header = false;
      return;
    }
    request_.own_columns |= name == "--format";
    selects_ |= std::find(std::begin(kLongSelecting), std::end(kLongSelecting), name) != std::end(kLongSelecting);
    request_.words.push_back(word);
  }

  // Several letters in a word; the first with a value takes the rest of it, or the next word.
  void cluster(const std::string& letters, const Style& style, std::string_view dash) {
    if (is_digits(letters)) {  // a process
      selects_ = true;
      request_.words.push_back(std::string(dash) + letters);
      return;
    }
    std::string kept(dash);
    for (size_t i = 0; i < letters.size(); ++i) {
      const char c = letters[i];
      if (c == 'E' && !dash.empty()) {
        i = take_container(letters, i);
        continue;
      }
      if (has(style.no_header, c)) {
        request_.header = false;
        continue;
      }
      kept += c;
      selects_ |= has(style.selecting, c);
      request_.own_columns |= has(style.columns, c);
      if (!has(style.with_value, c)) continue;
      kept += letters.substr(i + 1);
      request_.words.push_back(kept);
      if (i + 1 == letters.size() && at_ < words_.size()) request_.words.push_back(words_[at_++]);
      return;
    }
    if (kept != dash) request_.words.push_back(kept);
  }

  // "-E", "-E 101", "-E101", "-fE 101", "-E -ef". The last letter taken.
  size_t take_container(const std::string& letters, size_t i) {
    request_.of_containers = true;
    const std::string rest = letters.substr(i + 1);
    if (is_digits(rest)) {
      request_.ct = rest;
      return letters.size();
    }
    if (rest.empty() && at_ < words_.size() && (is_digits(words_[at_]) || is_ct_(words_[at_])))
      request_.ct = words_[at_++];
    return i;
  }

  const std::vector<std::string>& words_;
  const std::function<bool(const std::string&)>& is_ct_;
  size_t at_ = 0;
  bool selects_ = false;
  PsRequest request_;
};

std::optional<pid_t> pid_in(std::string_view word) {
  const auto number = parse_u64(word);
  if (!number || *number == 0 || *number > std::numeric_limits<pid_t>::max()) return std::nullopt;
  return static_cast<pid_t>(*number);
}

// The place of the PID's column in the header; the columns before have no blanks in them.
size_t pid_column(std::string_view header) {
  const auto names = words(header);
  return static_cast<size_t>(std::find(names.begin(), names.end(), "PID") - names.begin());
}

// Where the first column, which is right-aligned, ends.
size_t first_end(std::string_view line) {
  const size_t begin = std::min(line.find_first_not_of(' '), line.size());
  return std::min(line.find(' ', begin), line.size());
}

}  // namespace

PsRequest parse_ps(const std::vector<std::string>& words, const std::function<bool(const std::string&)>& is_ct) {
  return PsParser(words, is_ct).parse();
}

std::vector<PsLine> filter_ps(const PsRequest& request, std::string_view output,
                              const std::function<std::optional<config::CtId>(pid_t)>& container,
                              const std::function<bool(config::CtId)>& keep) {
  auto lines = split(output, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  if (lines.empty()) return {};
  const auto first = words(lines[0]);
  const bool has_header = !request.own_columns || first.empty() || !pid_in(first[0]);
  const size_t column = request.own_columns ? 0 : pid_column(lines[0]);
  const bool only_header = has_header && lines.size() == 1;
  const size_t width = request.own_columns && !only_header ? first_end(lines.back()) + 1 : 0;
  std::vector<PsLine> out;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string text(lines[i].substr(std::min(width, lines[i].size())));
    if (i == 0 && has_header) {
      if (request.header) out.push_back({request.own_columns ? text : "CTID " + text, std::nullopt});
      continue;
    }
    const auto fields = words(lines[i]);
    const auto pid = column < fields.size() ? pid_in(fields[column]) : std::nullopt;
    const auto ct = pid ? container(*pid) : std::nullopt;
    if (ct && keep(*ct)) out.push_back({request.own_columns ? text : fmt::format("{:>4} {}", *ct, text), *ct, *pid});
  }
  return out;
}

}  // namespace vz::runtime
