// vzmemcheck: which part of the host's memory its running containers take together; vzmemcheck(8).
#include <fmt/core.h>

#include <array>
#include <cstdio>

#include "base/json.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "runtime/occupants.h"
#include "runtime/shares.h"

namespace vz::cli {

namespace {

using runtime::Shares;

constexpr Option kOptions[] = {
    {"verbose", false, 'v'}, {"absolute", false, 'A'}, {"json", false, 'j'}, {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzmemcheck [-v] [-A] [-j]\n"
    "Tells which part of the host's memory its running containers use and were promised.\n"
    "  -v, --verbose   each container, too\n"
    "  -A, --absolute  MiB, not percent\n"
    "  -j, --json      a JSON object, in bytes\n"
    "  -h, --help, --version\n";

struct Column {
  std::string_view top, bottom, key;
  uint64_t Shares::*part;
};
constexpr auto kColumns = std::to_array<Column>({
    {"LowMem", "util", "lowmem_util", &Shares::kernel_used},
    {"LowMem", "commit", "lowmem_commit", &Shares::kernel_limit},
    {"RAM", "util", "ram_util", &Shares::ram_used},
    {"MemSwap", "util", "memswap_util", &Shares::memory_used},
    {"MemSwap", "commit", "memswap_commit", &Shares::memory_promised},
    {"Alloc", "util", "alloc_util", &Shares::memory_used},
    {"Alloc", "commit", "alloc_commit", &Shares::alloc_promised},
    {"Alloc", "limit", "alloc_limit", &Shares::alloc_limit},
});

struct Listed {
  config::CtId id;
  Shares shares;
};

void print_header(std::string_view Column::*line, bool verbose, std::string_view first) {
  if (verbose) fmt::print("{:<10}", first);
  for (const Column& c : kColumns) fmt::print(" {:>7}", c.*line);
  fmt::print("\n");
}

void print_values(const Shares& s, const Shares* whole) {
  constexpr double kMiB = 1u << 20;
  for (const Column& c : kColumns) {
    const uint64_t value = s.*c.part;
    fmt::print(" {:7.2f}", whole ? runtime::percent(value, whole->*c.part) : static_cast<double>(value) / kMiB);
  }
  fmt::print("\n");
}

void print_table(const std::vector<Listed>& all, const Shares& total, const Shares& host, const Parsed& options) {
  const bool verbose = options.has("verbose"), absolute = options.has("absolute");
  const Shares* whole = absolute ? nullptr : &host;
  fmt::print("Output values in {}\n", absolute ? "Mbytes" : "%");
  print_header(&Column::top, verbose, "CTID");
  print_header(&Column::bottom, verbose, "");
  if (verbose) {
    for (const Listed& l : all) {
      fmt::print("{:<10}", l.id);
      print_values(l.shares, whole);
    }
    fmt::print("{:-<74}\n{:<10}", "", "Summary:");
  }
  print_values(total, whole);
  if (!absolute) return;
  if (verbose) fmt::print("{:10}", "");
  print_values(host, nullptr);
}

Json json_of(const Shares& s) {
  Json out = Json::object();
  for (const Column& c : kColumns) out[std::string(c.key)] = s.*c.part;
  return out;
}

void print_as_json(const std::vector<Listed>& all, const Shares& total, const Shares& host) {
  Json containers = Json::array();
  for (const Listed& l : all) {
    Json one = {{"ctid", l.id}};
    one.update(json_of(l.shares));
    containers.push_back(std::move(one));
  }
  fmt::print("{}\n", pretty_json({{"containers", containers}, {"summary", json_of(total)}, {"host", json_of(host)}}));
}

Result<int> run(const Parsed& options) {
  if (!options.rest.empty()) return fail(Code::usage, "Invalid extra argument '{}'", printable(options.rest[0]));
  TRY_AS(const runtime::Host here, runtime::load_host());
  TRY_AS(const config::HostSize size, runtime::host_size());
  TRY_AS(const auto running, runtime::running_containers(here));
  std::vector<Listed> all;
  Shares total;
  for (const runtime::Occupant& o : running) {
    all.push_back({o.ct.id, runtime::shares_of(o.ct.spec, o.usage, size)});
    total = runtime::sum(total, all.back().shares);
  }
  if (options.has("json"))
    print_as_json(all, total, runtime::capacity(size));
  else
    print_table(all, total, runtime::capacity(size), options);
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzmemcheck", .usage = kUsage, .options = kOptions, .run = run, .for_root = true}, argc,
                  argv);
}
