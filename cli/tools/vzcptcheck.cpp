// vzcptcheck: does this host understand another's checkpoints, and has it the processor for them? vzcptcheck(8).
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "migrate/terms.h"

namespace vz::cli {

namespace {

constexpr int kIncompatible = 2;
constexpr Option kOptions[] = {{"json", false, 'j'}, {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzcptcheck [-j] version [VERSION]\n"
    "       vzcptcheck [-j] caps [CTID] [FLAG,...]\n"
    "       vzcptcheck help\n"
    "Prints the version of checkpoints that this host makes, or the flags of its processors; or tells whether it\n"
    "understands checkpoints of VERSION and has each FLAG of another host's.\n"
    "  -j, --json  a JSON object\n"
    "  -h, --help, --version\n";

// With JSON the answer is in it; the exit status is the same.
int answer(Json out, bool compatible) {
  out["compatible"] = compatible;
  fmt::print("{}\n", pretty_json(out));
  return compatible ? 0 : kIncompatible;
}

Result<int> version(const migrate::HostFacts& facts, std::vector<std::string> words, bool json) {
  if (facts.criu.empty()) return fail(Code::unsupported, "no working criu here: {}", facts.criu_problem);
  if (words.empty()) {
    fmt::print("{}\n", json ? pretty_json({{"version", facts.criu}}) : facts.criu);
    return 0;
  }
  const auto parts = split(words[0], '.');
  const bool numbers = std::all_of(parts.begin(), parts.end(), [](std::string_view p) { return parse_u64(p); });
  if (words.size() > 1 || parts.empty() || !numbers)
    return fail(Code::usage, "'{}' is no version", printable(join(words, " ")));
  const bool older = migrate::older(facts.criu, words[0]);
  if (json) return answer({{"version", facts.criu}}, !older);
  if (!older) return 0;
  log::error("CPT version {} rejected: this host has {}", words[0], facts.criu);
  return kIncompatible;
}

// Flags are the whole host's: whatever a container uses is among them.
Result<int> caps(const migrate::HostFacts& facts, std::vector<std::string> words, bool json) {
  if (!words.empty() && parse_u64(words[0])) words.erase(words.begin());
  if (words.empty()) {
    fmt::print("{}\n", json ? pretty_json({{"caps", facts.cpu_flags}})
                            : join({facts.cpu_flags.begin(), facts.cpu_flags.end()}, ","));
    return 0;
  }
  if (words.size() > 1) return fail(Code::usage, "Invalid extra argument '{}'", printable(words[1]));
  std::vector<std::string> missing;
  for (const std::string_view flag : split(words[0], ','))
    if (!facts.cpu_flags.contains(std::string(flag))) missing.push_back(printable(flag));
  if (json) return answer({{"missing", missing}}, missing.empty());
  if (missing.empty()) return 0;
  log::error("Insufficient CPU capabilities: {}", join(missing, " "));
  return kIncompatible;
}

Result<int> help(const migrate::HostFacts&, std::vector<std::string>, bool) {
  std::fputs(kUsage, stdout);
  return 0;
}

struct Verb {
  std::string_view name;
  Result<int> (*run)(const migrate::HostFacts&, std::vector<std::string>, bool json);
};
constexpr Verb kVerbs[] = {{"version", version}, {"caps", caps}, {"help", help}};

Result<int> run(const Parsed& options) {
  if (options.rest.empty()) return fail(Code::usage, "version, caps or help expected; see vzcptcheck --help");
  const auto* verb =
      std::find_if(std::begin(kVerbs), std::end(kVerbs), [&](const Verb& v) { return v.name == options.rest[0]; });
  if (verb == std::end(kVerbs)) return fail(Code::usage, "Unknown command '{}'", printable(options.rest[0]));
  const auto host = runtime::load_host();
  return verb->run(migrate::own_facts(host.value_or({})), {options.rest.begin() + 1, options.rest.end()},
                   options.has("json"));
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzcptcheck", .usage = kUsage, .options = kOptions, .run = run}, argc, argv);
}
