// vzcpucheck: the CPU units of the running containers against what the host's processors are worth; vzcpucheck(8).
#include <fmt/core.h>

#include <cstdio>

#include "base/json.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "config/host_size.h"
#include "runtime/occupants.h"
#include "sys/files.h"

namespace vz::cli {

namespace {

constexpr int kMisused = 2;
constexpr uint32_t kDefaultUnits = 1000;
constexpr Option kOptions[] = {{"verbose", false, 'v'}, {"json", false, 'j'}, {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzcpucheck [-v] [-j]\n"
    "Compares the CPU units of the running containers with the power of the processors.\n"
    "  -v, --verbose  each container, too\n"
    "  -j, --json     a JSON object, with everything\n"
    "  -h, --help, --version\n";

Result<int> run(const Parsed& options) {
  if (!options.rest.empty()) return fail(Code::usage, "Invalid extra argument '{}'", printable(options.rest[0]));
  TRY_AS(const std::string cpuinfo, sys::read_file("/proc/cpuinfo"));
  TRY_AS(const runtime::Host host, runtime::load_host());
  TRY_AS(const auto running, runtime::running_containers(host));
  const uint64_t power = config::parse_cpu_power(cpuinfo);
  if (power == 0) return fail(Code::unsupported, "no BogoMIPS in /proc/cpuinfo");
  uint64_t sum = 0;
  Json containers = Json::array();
  std::string rows;
  for (const runtime::Occupant& o : running) {
    const uint32_t units = o.ct.spec.cpuunits.value_or(kDefaultUnits);
    sum += units;
    rows += fmt::format("{}\t\t{}\n", o.ct.id, units);
    containers.push_back({{"ctid", o.ct.id}, {"cpuunits", units}});
  }
  if (options.has("json")) {
    fmt::print(
        "{}\n",
        pretty_json(
            {{"utilization", sum}, {"power", power}, {"overcommitted", sum > power}, {"containers", containers}}));
    return 0;
  }
  if (options.has("verbose")) fmt::print("VEID\t\tCPUUNITS\n{:-<25}\n{}", "", rows);
  fmt::print("Current CPU utilization: {}\nPower of the node: {}\n", sum, power);
  if (sum > power) std::puts("Warning: hardware node is overcommitted");
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool(
      {.name = "vzcpucheck", .usage = kUsage, .options = kOptions, .run = run, .for_root = true, .misused = kMisused},
      argc, argv);
}
