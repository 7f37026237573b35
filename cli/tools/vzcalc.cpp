// vzcalc: which part of the host one container takes; vzcalc(8).
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

#include "base/json.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "runtime/occupants.h"
#include "runtime/shares.h"

namespace vz::cli {

namespace {

constexpr Option kOptions[] = {{"verbose", false, 'v'}, {"json", false, 'j'}, {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzcalc [-v] [-j] CTID|NAME\n"
    "Tells which part of the host's memory a container uses, was promised and may take at most.\n"
    "  -v, --verbose  each resource, not the largest only\n"
    "  -j, --json     a JSON object, with everything\n"
    "  -h, --help, --version\n";

using Percent = std::optional<double>;
struct Row {
  std::string_view name, key;
  Percent current, promised, max;
};

std::vector<Row> rows_of(const runtime::Shares& s, const runtime::Shares& host) {
  using runtime::percent;
  // Without a limit of its own what the kernel needs is in the memory below.
  const Percent low = s.kernel_limit ? Percent(percent(s.kernel_limit, host.kernel_limit)) : std::nullopt;
  const double used = percent(s.memory_used, host.memory_used);
  return {
      {"Low Mem", "low_mem", percent(s.kernel_used, host.kernel_used), low, low},
      {"Total RAM", "total_ram", percent(s.ram_used, host.ram_used), {}, {}},
      {"Mem + Swap", "mem_swap", used, percent(s.memory_promised, host.memory_promised), {}},
      {"Alloc. Mem", "alloc_mem", used, percent(s.alloc_promised, host.alloc_promised),
       percent(s.alloc_limit, host.alloc_limit)},
      {"Num. Proc",
       "num_proc",
       percent(s.processes_used, host.processes_used),
       {},
       percent(s.processes_limit, host.processes_limit)},
  };
}

Row largest(const std::vector<Row>& rows) {
  Row all{"Memory", "memory", {}, {}, {}};
  for (const Row& r : rows) {
    all.current = std::max(all.current, r.current);
    all.promised = std::max(all.promised, r.promised);
    all.max = std::max(all.max, r.max);
  }
  return all;
}

std::string cell(const Percent& p) { return p ? fmt::format("{:10.2f}", *p) : fmt::format("{:>10}", "n/a"); }
Json json_of(const Percent& p) { return p ? Json(*p) : Json(); }

void print_row(const Row& r) {
  fmt::print("{:<10} {} {} {}\n", r.name, cell(r.current), cell(r.promised), cell(r.max));
}

Result<int> run(const Parsed& options) {
  TRY_AS(const std::string word, one_word(options, "A CTID"));
  TRY_AS(const runtime::Host host, runtime::load_host());
  TRY_AS(const config::HostSize size, runtime::host_size());
  TRY_AS(const config::CtId id, state::resolve(host.paths, word));
  const auto found = runtime::look_at(host, id);
  if (!found && found.error().code == Code::no_ct_config)
    return fail(Code::no_ct_config, "Container configuration file: {} not found", host.paths.conf(id));
  if (!found) return found.error();
  const runtime::Shares shares = runtime::shares_of(found->ct.spec, found->usage, size);
  auto rows = rows_of(shares, runtime::capacity(size));
  if (!found->running)
    for (Row& r : rows) r.current.reset();
  const Row all = largest(rows);
  if (options.has("json")) {
    rows.push_back(all);
    Json out = {{"ctid", id}};
    for (const Row& r : rows)
      out[std::string(r.key)] = {
          {"current", json_of(r.current)}, {"promised", json_of(r.promised)}, {"max", json_of(r.max)}};
    fmt::print("{}\n", pretty_json(out));
    return 0;
  }
  fmt::print("Resource     Current(%)  Promised(%)  Max(%)\n");
  if (options.has("verbose")) {
    for (const Row& r : rows) print_row(r);
    fmt::print("{:-<44}\n", "");
  }
  print_row(all);
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzcalc", .usage = kUsage, .options = kOptions, .run = run, .for_root = true}, argc, argv);
}
