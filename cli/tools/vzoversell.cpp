// vzoversell: memory and swap space promised to the running containers against what the host has; vzoversell(8).
#include <fmt/core.h>

#include <cstdio>

#include "base/json.h"
#include "base/strings.h"
#include "cli/beancounters.h"
#include "cli/tool.h"

namespace vz::cli {

namespace {

using config::Oversold;
using config::Sold;

constexpr Option kOptions[] = {{"json", false, 'j'}, {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzoversell [-j] [FILE]\n"
    "Tells how much memory and swap space the running containers may take, and how much there is.\n"
    "FILE: beancounters of an OpenVZ host, not this one's containers.\n"
    "  -j, --json  a JSON object, in bytes\n"
    "  -h, --help, --version\n";

std::string cells(const Sold& s) {
  using config::scaled_size;
  return fmt::format("{:>7} {:>7} {:>7} {:>7}", scaled_size(s.used), scaled_size(s.peak), scaled_size(s.limit),
                     s.failures ? std::to_string(s.failures) : "-");
}

void print_row(const Oversold& o) {
  std::string line = fmt::format("{:>10} {} {}  {}", o.ct, cells(o.ram), cells(o.swap), o.flags);
  line.erase(line.find_last_not_of(' ') + 1);
  fmt::print("{}\n", line);
}

void print_sum(std::string_view what, uint64_t available, uint64_t allocated) {
  const double percent = available ? 100.0 * static_cast<double>(allocated) / static_cast<double>(available) : 0;
  fmt::print("{:<9} available: {:>5}  allocated: {:>5}  oversell: {}\n", what, config::scaled_size(available),
             config::scaled_size(allocated), available ? fmt::format("{:.0f}%", percent) : "-");
}

void print_flags(const std::vector<Oversold>& all) {
  for (const config::OversellFlag& f : config::oversell_flags())
    for (const Oversold& o : all)
      if (o.flags.find(f.flag) != std::string::npos) {
        fmt::print("{}: {}\n", f.flag, f.meaning);
        break;
      }
}

Json json_of(const Sold& s) {
  return {{"used", s.used},
          {"peak", s.peak},
          {"limit", s.limit < config::kUnlimited ? Json(s.limit) : Json()},
          {"failures", s.failures}};
}

void print_as_json(const std::vector<Oversold>& all, const Oversold& sum, const config::HostSize& size) {
  Json containers = Json::array();
  for (const Oversold& o : all)
    containers.push_back(
        {{"ctid", ctid_json(o.ct)}, {"ram", json_of(o.ram)}, {"swap", json_of(o.swap)}, {"flags", o.flags}});
  fmt::print("{}\n", pretty_json({{"containers", containers},
                                  {"total", {{"ram", json_of(sum.ram)}, {"swap", json_of(sum.swap)}}},
                                  {"available", {{"ram", size.ram}, {"swap", size.swap}}}}));
}

Result<int> run(const Parsed& options) {
  if (options.rest.size() > 1) return fail(Code::usage, "Invalid extra argument '{}'", printable(options.rest[1]));
  TRY_AS(const config::HostSize size, runtime::host_size());
  const auto file = options.rest.empty() ? std::nullopt : std::optional(options.rest[0]);
  TRY_AS(const auto tables, read_beancounters(file));
  std::vector<Oversold> all;
  for (const config::UbcTable& t : tables)
    if (t.ct != "0") all.push_back(config::oversold(t));
  const Oversold sum = config::total(all);
  if (options.has("json")) {
    print_as_json(all, sum, size);
    return 0;
  }
  fmt::print("{:>10} {:^31} {:^31}\n", "", "RAM", "Swap");
  fmt::print("{:>10}", "CTID");
  for (const char* half : {"", ""}) fmt::print("{} {:>7} {:>7} {:>7} {:>7}", half, "used", "peak", "limit", "fails");
  fmt::print("  flags\n");
  for (const Oversold& o : all) print_row(o);
  print_row(sum);
  print_sum("RAM", size.ram, sum.ram.limit);
  print_sum("Swap", size.swap, sum.swap.limit);
  print_sum("RAM+Swap", size.ram + size.swap, sum.ram.limit + sum.swap.limit);
  print_flags(all);
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzoversell", .usage = kUsage, .options = kOptions, .run = run}, argc, argv);
}
