#include "cli/tool.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/strings.h"
#include "config/codecs.h"

namespace vz::cli {

namespace {

Result<int> run_parsed(const Tool& tool, const std::vector<std::string>& args) {
  TRY_AS(const Parsed options,
         tool.words_last ? parse_leading_options(args, tool.options) : parse_options(args, tool.options));
  if (options.has("version")) {
    fmt::print("{} version " VESSEL_VERSION "\n", tool.name);
    return 0;
  }
  if (options.has("help")) {
    std::fputs(tool.usage, stdout);
    return 0;
  }
  if (tool.for_root) TRY(need_root());
  return tool.run(options);
}

}  // namespace

int run_tool(const Tool& tool, const std::vector<std::string>& args) {
  log::settings().program = tool.name;
  const auto status = run_parsed(tool, args);
  if (status) return *status;
  log::error("{}", status.error().text);
  return status.error().code == Code::usage ? tool.misused : tool.failed;
}

int run_tool(const Tool& tool, int argc, char** argv) {
  return run_tool(tool, {argv + std::min(argc, 1), argv + argc});
}

Result<void> need_root() {
  if (::geteuid() == 0) return {};
  return fail(Code::denied, "This program can only be run under root.");
}

Result<std::string> one_word(const Parsed& options, std::string_view what) {
  if (options.rest.size() == 1) return options.rest[0];
  return fail(Code::usage, "{} expected; see {} --help", what, log::settings().program);
}

Result<std::optional<uint64_t>> number_option(const Parsed& options, std::string_view name, uint64_t least) {
  const auto text = options.value(name);
  if (!text) return std::optional<uint64_t>();
  const auto number = parse_u64(*text);
  if (!number || *number < least) return fail(Code::usage, "Invalid --{} '{}'", name, printable(*text));
  return number;
}

Result<std::optional<bool>> yes_no_option(const Parsed& options, std::string_view name) {
  const auto text = options.value(name);
  if (!text) return std::optional<bool>();
  const auto value = config::codec::YesNo::parse(*text);
  if (!value) return fail(Code::usage, "Invalid --{} '{}': yes or no expected", name, printable(*text));
  return std::optional(*value);
}

}  // namespace vz::cli
