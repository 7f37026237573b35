// vzifup-post: containers' addresses announced on a device that has come up; vzifup-post(8).
#include "base/log.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "runtime/occupants.h"

namespace vz::cli {

namespace {

constexpr Option kOptions[] = {{"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzifup-post DEVICE\n"
    "Announces the addresses of the running containers on a device of the host that has come up.\n"
    "  -h, --help, --version\n";

// One container that cannot be announced keeps no other from it.
Result<int> run(const Parsed& options) {
  TRY_AS(const std::string device, one_word(options, "One device"));
  if (!net::valid_ifname(device)) return fail(Code::usage, "'{}' is no device", printable(device));
  TRY_AS(const runtime::Host host, runtime::load_host());
  TRY_AS(const auto running, runtime::running_containers(host));
  for (const runtime::Occupant& o : running) {
    if (!o.ct.network.routed) continue;
    if (const auto r = net::announce_on_device(*o.ct.network.routed, device); !r)
      log::error("CT {}: {}", o.ct.id, r.error().text);
  }
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzifup-post", .usage = kUsage, .options = kOptions, .run = run, .for_root = true}, argc,
                  argv);
}
