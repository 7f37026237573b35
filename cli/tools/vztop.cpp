// vztop: what containers and their processes use, again and again; vztop(8).
#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "base/json.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "cli/top/screen.h"
#include "runtime/occupants.h"

namespace vz::cli {

namespace {

using top::Choice;
using top::Pace;
using top::Session;

constexpr Option kOptions[] = {{"processes", false, 'E'},
                               {"all", false, 'a'},
                               {"sort", true, 'o'},
                               {"delay", true, 'd'},
                               {"number", true, 'n'},
                               {"batch", false, 'b'},
                               {"command-lines", false, 'l'},
                               {"json", false, 'j'},
                               {"list", false, 'L'},
                               {"help", false, 'h'},
                               {"version"}};
constexpr const char* kUsage =
    "Usage: vztop [OPTION...] [-E [CTID|NAME]]\n"
    "Shows what containers, or processes and their containers, use now.\n"
    "  -E, --processes      processes: of all, of one container, of the host (0)\n"
    "  -a, --all            also containers that do not run\n"
    "  -o, --sort [-]F      by this column, - for the other way round (-L lists them)\n"
    "  -d, --delay SEC      between two samples, 3\n"
    "  -n, --number N       end after so many\n"
    "  -b, --batch          text, one sample below the other\n"
    "  -l, --command-lines  of processes, not their names\n"
    "  -j, --json           one sample, as a JSON object\n"
    "  -L, --list           the columns there are\n"
    "  -h, --help, --version\n";

Result<Choice> choice_of(const Parsed& options, const runtime::Host& host) {
  Choice c;
  c.processes = options.has("processes") || !options.rest.empty();
  c.all = options.has("all");
  c.command_lines = options.has("command-lines");
  if (const auto order = options.value("sort")) {
    c.reversed = order->starts_with('-');
    c.sort = order->substr(c.reversed ? 1 : 0);
    if (!top::is_column(c.processes, c.sort))
      return fail(Code::usage, "Unknown column '{}'; see vztop {}-L", printable(c.sort), c.processes ? "-E " : "");
  }
  if (options.rest.size() > 1) return fail(Code::usage, "Invalid extra argument '{}'", printable(options.rest[1]));
  if (options.rest.empty()) return c;
  if (options.rest[0] == "0") {
    c.only = 0;
    return c;
  }
  TRY_AS(c.only, state::resolve(host.paths, options.rest[0]));
  TRY(runtime::expect_running(host, *c.only));
  return c;
}

Result<Pace> pace_of(const Parsed& options) {
  constexpr double kLeast = 0.1, kMost = 3600;
  Pace pace;
  TRY_AS(pace.iterations, number_option(options, "number", 1));
  const auto text = options.value("delay");
  if (!text) return pace;
  char* end = nullptr;
  const double seconds = std::strtod(text->c_str(), &end);
  if (text->empty() || *end != '\0' || !(seconds >= kLeast && seconds <= kMost))
    return fail(Code::usage, "Invalid --delay '{}': {} to {} seconds expected", printable(*text), kLeast, kMost);
  pace.delay = std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
  return pace;
}

size_t terminal_width() {
  winsize size{};
  return ::isatty(STDOUT_FILENO) && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

Result<int> print_json(Session& session, std::chrono::milliseconds delay) {
  TRY(session.sample());
  std::this_thread::sleep_for(delay);
  TRY(session.sample());
  fmt::print("{}\n", pretty_json(session.json()));
  return 0;
}

Result<int> print_batch(Session& session, const Pace& pace) {
  TRY(session.sample());
  for (uint64_t i = 0; !pace.iterations || i < *pace.iterations; ++i) {
    std::this_thread::sleep_for(i == 0 ? top::first_delay(pace) : pace.delay);
    TRY(session.sample());
    const size_t width = terminal_width();
    if (i != 0) fmt::print("\n");
    for (const std::string& line : session.summary(width)) fmt::print("{}\n", line);
    const top::Picture picture = session.picture(0, session.rows(), width);
    fmt::print("\n{}\n", picture.header);
    for (const std::string& line : picture.lines) fmt::print("{}\n", line);
    if (std::fflush(stdout) != 0) return fail_sys(errno, "write");
  }
  return 0;
}

// The one that was told to end by a signal has ended by it, for who waits for it.
Result<int> on_terminal(Session& session, const Pace& pace) {
  TRY_AS(const int signal, top::run_screen(session, pace));
  if (signal == 0) return 0;
  ::signal(signal, SIG_DFL);
  ::raise(signal);
  return 128 + signal;
}

Result<int> run(const Parsed& options) {
  if (options.has("list")) {
    for (const auto name : top::column_names(options.has("processes"))) fmt::print("{}\n", name);
    return 0;
  }
  TRY(need_root());
  TRY_AS(Pace pace, pace_of(options));
  TRY_AS(const runtime::Host host, runtime::load_host());
  TRY_AS(Choice choice, choice_of(options, host));
  Session session(host, std::move(choice));
  if (options.has("json")) return print_json(session, options.has("delay") ? pace.delay : top::first_delay(pace));
  if (options.has("batch")) return print_batch(session, pace);
  if (::isatty(STDOUT_FILENO) && ::isatty(STDIN_FILENO)) return on_terminal(session, pace);
  if (!pace.iterations) pace.iterations = 1;
  return print_batch(session, pace);
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  // "-E101" as vzps(8) has it.
  for (size_t i = 0; i < args.size(); ++i)
    if (args[i].starts_with("-E") && args[i].size() > 2 && vz::parse_u64(args[i].substr(2))) {
      const std::string ct = args[i].substr(2);
      args[i] = "-E";
      args.insert(args.begin() + static_cast<std::ptrdiff_t>(++i), ct);
    }
  return run_tool({.name = "vztop", .usage = kUsage, .options = kOptions, .run = run}, args);
}
