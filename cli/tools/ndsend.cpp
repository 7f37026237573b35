// ndsend: an unsolicited neighbour advertisement; ndsend(8).
#include "base/strings.h"
#include "cli/tool.h"
#include "net/ask.h"
#include "net/link.h"
#include "net/packet_socket.h"

namespace vz::cli {

namespace {

constexpr int kFailed = 2;
constexpr Option kOptions[] = {{"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: ndsend ADDRESS DEVICE\n"
    "Tells all on DEVICE's network that this host has the IPv6 ADDRESS.\n"
    "  -h, --help, --version\n";

Result<int> run(const Parsed& options) {
  if (options.rest.size() != 2) return fail(Code::usage, "An address and a device expected; see ndsend --help");
  const auto ip = config::parse_ip(options.rest[0]);
  if (!ip || !ip->v6 || ip->prefix) return fail(Code::usage, "'{}' is no IPv6 address", printable(options.rest[0]));
  const std::string& name = options.rest[1];
  if (!net::valid_ifname(name)) return fail(Code::usage, "'{}' is no device", printable(name));
  TRY_AS(const std::string address, net::address_bytes(*ip));
  TRY_AS(const net::Device device, net::find_device(name));
  TRY_AS(const sys::UniqueFd fd, net::packet_socket(0));
  TRY(net::send_announcement(fd, device.index, device.mac, address, device.has(address) && net::is_router(name)));
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "ndsend", .usage = kUsage, .options = kOptions, .run = run, .failed = kFailed}, argc, argv);
}
