#include <getopt.h>

#include <algorithm>

#include "base/strings.h"
#include "cli/command.h"

namespace vz::cli {

namespace {

struct Table {
  std::vector<std::string> names;
  std::vector<::option> long_options;
  std::string short_options = ":";  // a leading colon: missing values are told apart from unknown options
};

Table build(std::span<const Option> options) {
  Table t;
  for (const Option& o : options) t.names.emplace_back(o.name);
  for (size_t i = 0; i < options.size(); ++i) {
    const int has_value = options[i].has_value ? required_argument : no_argument;
    t.long_options.push_back({t.names[i].c_str(), has_value, nullptr, static_cast<int>(256 + i)});
    if (!options[i].short_name) continue;
    t.short_options += options[i].short_name;
    if (options[i].has_value) t.short_options += ':';
  }
  t.long_options.push_back({nullptr, 0, nullptr, 0});
  return t;
}

}  // namespace

bool Parsed::has(std::string_view name) const {
  return std::any_of(items.begin(), items.end(), [&](const Item& i) { return i.name == name; });
}

std::optional<std::string> Parsed::value(std::string_view name) const {
  std::optional<std::string> out;
  for (const Item& i : items)
    if (i.name == name) out = i.value;
  return out;
}

static Result<Parsed> parse(const std::vector<std::string>& args, std::span<const Option> options, bool leading) {
  Table table = build(options);
  if (leading) table.short_options.insert(0, 1, '+');
  std::vector<std::string> storage = args;
  std::vector<char*> argv = {const_cast<char*>("vzctl")};
  for (std::string& a : storage) argv.push_back(a.data());
  argv.push_back(nullptr);
  const int argc = static_cast<int>(argv.size()) - 1;
  Parsed out;
  ::optind = 0;  // glibc: start anew
  ::opterr = 0;
  int c;
  while ((c = ::getopt_long(argc, argv.data(), table.short_options.c_str(), table.long_options.data(), nullptr)) !=
         -1) {
    const std::string word = argv[static_cast<size_t>(::optind - 1)];
    if (c == '?') return fail(Code::usage, "unrecognized option '{}' (see --help)", printable(word));
    if (c == ':') return fail(Code::usage, "option '{}' requires an argument", printable(word));
    const auto row =
        c >= 256 ? options.begin() + (c - 256)
                 : std::find_if(options.begin(), options.end(), [&](const Option& o) { return o.short_name == c; });
    out.items.push_back({row->name, row->has_value ? ::optarg : ""});
  }
  for (int i = ::optind; i < argc; ++i) out.rest.emplace_back(argv[static_cast<size_t>(i)]);
  return out;
}

Result<Parsed> parse_options(const std::vector<std::string>& args, std::span<const Option> options) {
  return parse(args, options, false);
}

Result<Parsed> parse_leading_options(const std::vector<std::string>& args, std::span<const Option> options) {
  return parse(args, options, true);
}

Result<Parsed> parse_only_options(const std::vector<std::string>& args, std::span<const Option> options) {
  TRY_AS(Parsed parsed, parse_options(args, options));
  if (!parsed.rest.empty()) return fail(Code::usage, "Invalid extra arguments: {}", printable(join(parsed.rest, " ")));
  return parsed;
}

}  // namespace vz::cli
