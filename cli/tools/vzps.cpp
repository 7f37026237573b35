// vzps: ps(1) with the containers that processes are in; vzps(8).
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "cgroups/cgroups.h"
#include "cli/tool.h"
#include "cli/top/view.h"
#include "runtime/occupants.h"
#include "runtime/ps_view.h"
#include "state/state.h"
#include "sys/process.h"

namespace vz::cli {

namespace {

constexpr int kFailed = 1;
constexpr const char* kUsage =
    "Usage: vzps [-E [CTID|NAME]] [--json] [OPTION of ps...]\n"
    "ps(1) with the container that each process is in; 0: the host.\n"
    "  -E CTID  only its processes\n"
    "  -E       all processes\n"
    "  --json   a JSON array of those that ps chooses\n"
    "  --help, --version\n";

// On a terminal lines end where it does, unless they are to be as long as they are; 0: no end.
size_t line_width(const std::vector<std::string>& words) {
  winsize size{};
  if (!::isatty(STDOUT_FILENO) || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return 0;
  const auto wide = [](const std::string& w) { return !w.starts_with("--") && w.find('w') != std::string::npos; };
  return std::any_of(words.begin(), words.end(), wide) ? 0 : size.ws_col;
}

// What vztop(8) tells of each, but for the CPU it uses now: one look does not show that.
int print_json(const runtime::Host& host, const std::vector<runtime::PsLine>& lines) {
  top::Reader reader(host);
  Json list = Json::array();
  for (const runtime::PsLine& line : lines) {
    auto process = line.ct ? reader.process(line.pid) : std::nullopt;
    if (!process) continue;
    Json one = top::process_json({.now = std::move(*process), .cpu = {}, .words = top::command_line(line.pid)});
    one.erase("cpu");
    list.push_back(std::move(one));
  }
  fmt::print("{}\n", pretty_json(list));
  return list.empty() ? kFailed : 0;
}

Result<int> run(std::vector<std::string> args) {
  const bool json = std::erase(args, "--json") != 0;
  const auto is_ct = [](const std::string& word) { return state::resolve({}, word).operator bool(); };
  const runtime::PsRequest request = runtime::parse_ps(args, is_ct);
  if (json && request.own_columns) return fail(Code::usage, "Use either --json or -o");
  const runtime::Host host;
  std::optional<config::CtId> only;
  if (request.ct && *request.ct != "0") {
    TRY_AS(only, state::resolve(host.paths, *request.ct));
    TRY(runtime::expect_running(host, *only));
  } else if (request.ct) {
    only = 0;
  }
  sys::Program ps{.argv = {"ps"}};
  ps.argv.insert(ps.argv.end(), request.words.begin(), request.words.end());
  auto out = sys::run(ps);
  if (!out && out.error().sys_errno == ENOENT) return fail(Code::unsupported, "There is no ps (package procps)");
  if (!out) return std::move(out).error();
  std::fputs(out->err.c_str(), stderr);
  if (!out->status.ok() && out->out.empty()) return out->status.code ? out->status.code : kFailed;
  const auto lines = runtime::filter_ps(request, out->out, cgroups::container_of,
                                        [&](config::CtId ct) { return !only || ct == *only; });
  if (json) return print_json(host, lines);
  const size_t width = line_width(request.words);
  bool found = false;
  for (const runtime::PsLine& line : lines) {
    fmt::print("{}\n", width ? line.text.substr(0, width) : line.text);
    found |= line.ct.has_value();
  }
  return found ? 0 : kFailed;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz;
  log::settings().program = "vzps";
  const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  if (args == std::vector<std::string>{"--help"} || args == std::vector<std::string>{"--version"}) {
    std::fputs(args[0] == "--help" ? cli::kUsage : "vzps version " VESSEL_VERSION "\n", stdout);
    return 0;
  }
  const auto status = cli::run(args);
  if (status) return *status;
  log::error("{}", status.error().text);
  return cli::kFailed;
}
