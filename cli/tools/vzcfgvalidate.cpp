// vzcfgvalidate: do the values of a configuration fit each other? vzcfgvalidate(8).
#include "config/validate.h"

#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <iostream>

#include "base/json.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "sys/files.h"

namespace vz::cli {

namespace {

constexpr int kNotValid = 2;
constexpr Option kOptions[] = {{"repair", false, 'r'}, {"interactive", false, 'i'}, {"vswap", true, 'v'},
                               {"json", false, 'j'},   {"help", false, 'h'},        {"version"}};
constexpr const char* kUsage =
    "Usage: vzcfgvalidate [-r | -i] [-v yes|no] [-j] FILE\n"
    "Tells which values of a container's configuration do not fit each other.\n"
    "  -r, --repair        make them fit\n"
    "  -i, --interactive   ask for each\n"
    "  -v, --vswap yes|no  take memory for limited as a whole, or by beancounters\n"
    "  -j, --json          a JSON object\n"
    "  -h, --help, --version\n";

constexpr std::array<std::string_view, 3> kSeverities = {"error", "warning", "recommendation"};
constexpr std::array<std::string_view, 3> kTitles = {"Error", "Warning", "Recommendation"};

// Standard input at its end says no.
bool ask(const std::string& value) {
  fmt::print("set to {}? (y/n) [y] ", value);
  std::fflush(stdout);
  std::string answer;
  if (!std::getline(std::cin, answer)) return false;
  const std::string_view word = trim(answer);
  return word.empty() || word[0] == 'y' || word[0] == 'Y';
}

bool tell(const config::Finding& f, const Parsed& options) {
  const std::string where = f.key.empty() ? "" : to_lower(f.key) + ": ";
  fmt::print("{}: {}{}\n", kTitles[static_cast<size_t>(f.severity)], where, printable(f.text));
  if (!f.repair) return false;
  const std::string value = config::print_barrier_limit(*f.repair);
  if (options.has("interactive")) return ask(value);
  if (options.has("repair")) fmt::print("set to {}\n", value);
  return options.has("repair");
}

Json as_json(const config::Finding& f) {
  return {{"severity", kSeverities[static_cast<size_t>(f.severity)]},
          {"parameter", f.key.empty() ? Json() : Json(f.key)},
          {"text", f.text},
          {"repair", f.repair ? Json(config::print_barrier_limit(*f.repair)) : Json()}};
}

Result<int> run(const Parsed& options) {
  TRY_AS(const std::string file, one_word(options, "One file"));
  TRY_AS(const auto vswap, yes_no_option(options, "vswap"));
  const bool repairs = options.has("repair") || options.has("interactive");
  if (options.has("repair") && options.has("interactive")) return fail(Code::usage, "Use either -r or -i");
  if (options.has("json") && options.has("interactive")) return fail(Code::usage, "Use either -j or -i");
  TRY_AS(const std::string text, sys::read_file(file));
  TRY_AS(const auto host, runtime::host_size());
  Json findings = Json::array();
  const auto result = config::validate(text, host, vswap, [&](const config::Finding& f) {
    if (!options.has("json")) return tell(f, options);
    findings.push_back(as_json(f));
    return options.has("repair");
  });
  if (repairs && result.valid && result.changed) TRY(sys::replace_file(file, result.text));
  if (options.has("json"))
    fmt::print("{}\n", pretty_json({{"valid", result.valid}, {"findings", findings}}));
  else if (result.valid)
    std::puts("Validation completed: success");
  return result.valid ? 0 : kNotValid;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzcfgvalidate", .usage = kUsage, .options = kOptions, .run = run}, argc, argv);
}
