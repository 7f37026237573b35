// vzpid: which container a process of the host is in; vzpid(8).
#include <fmt/core.h>

#include <cstdio>
#include <iostream>
#include <limits>
#include <optional>

#include "base/json.h"
#include "base/strings.h"
#include "cgroups/cgroups.h"
#include "cli/tool.h"
#include "sys/process.h"

namespace vz::cli {

namespace {

constexpr Option kOptions[] = {{"pid", false, 'p'}, {"json", false, 'j'}, {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzpid [-p] [-j] PID ... | -\n"
    "Tells which container processes of the host are in; 0: in none. '-' reads PIDs from standard input.\n"
    "  -p, --pid   tell the PID inside the container, too\n"
    "  -j, --json  a JSON array, with everything\n"
    "  -h, --help, --version\n";

struct Process {
  pid_t pid = 0, inside = 0;  // inside: as the container's own processes see it
  config::CtId ct = 0;
  std::string name;
};

// nullopt: it has ended.
std::optional<Process> look_up(pid_t pid) {
  const auto ct = cgroups::container_of(pid);
  const auto pids = sys::namespace_pids(pid);
  if (!ct || !pids) return std::nullopt;
  Process p{.pid = pid, .inside = pid, .ct = *ct, .name = sys::command_name(pid)};
  if (*ct != 0 && pids->size() > 1) p.inside = (*pids)[1];
  return p;
}

std::optional<pid_t> parse_pid(std::string_view word) {
  const auto number = parse_u64(word);
  if (!number || *number == 0 || *number > std::numeric_limits<pid_t>::max()) return std::nullopt;
  return static_cast<pid_t>(*number);
}

// Words that are no PID are left out: "ps -e | vzpid -".
std::vector<pid_t> read_pids() {
  std::vector<pid_t> out;
  for (std::string word; std::cin >> word;)
    if (const auto pid = parse_pid(word)) out.push_back(*pid);
  return out;
}

Result<std::vector<pid_t>> parse_pids(const std::vector<std::string>& words) {
  if (words.empty()) return fail(Code::usage, "A PID expected; see vzpid --help");
  if (words == std::vector<std::string>{"-"}) return read_pids();
  std::vector<pid_t> out;
  for (const std::string& word : words) {
    const auto pid = parse_pid(word);
    if (!pid) return fail(Code::usage, "Invalid PID '{}'", printable(word));
    out.push_back(*pid);
  }
  return out;
}

void print_table(const std::vector<Process>& processes, bool inside) {
  fmt::print("Pid{}\tCTID\tName\n", inside ? "\tCT/Pid" : "");
  for (const Process& p : processes)
    fmt::print("{}{}\t{}\t{}\n", p.pid, inside ? fmt::format("\t{}", p.inside) : "", p.ct, p.name);
}

void print_as_json(const std::vector<Process>& processes) {
  Json list = Json::array();
  for (const Process& p : processes)
    list.push_back({{"pid", p.pid}, {"ct_pid", p.inside}, {"ctid", p.ct}, {"name", p.name}});
  fmt::print("{}\n", pretty_json(list));
}

Result<int> run(const Parsed& options) {
  TRY_AS(const auto pids, parse_pids(options.rest));
  std::vector<Process> processes;
  for (const pid_t pid : pids)
    if (auto p = look_up(pid)) processes.push_back(std::move(*p));
  if (options.has("json"))
    print_as_json(processes);
  else
    print_table(processes, options.has("pid"));
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzpid", .usage = kUsage, .options = kOptions, .run = run}, argc, argv);
}
