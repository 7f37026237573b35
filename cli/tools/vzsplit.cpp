// vzsplit: a configuration for one of N containers that share this host; vzsplit(8).
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/statvfs.h>

#include <cerrno>
#include <cstdio>
#include <iostream>

#include "base/json.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "config/codecs.h"
#include "config/split.h"
#include "sys/files.h"

namespace vz::cli {

namespace {

constexpr Option kOptions[] = {{"number", true, 'n'}, {"file", true, 'f'},  {"swap", true, 's'}, {"vswap", true, 'v'},
                               {"json", false, 'j'},  {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzsplit [-n N] [-f NAME] [-s KIB] [-v yes|no] [-j]\n"
    "Makes a configuration for each of N containers that share this host.\n"
    "  -n, --number N      how many they are; asked for without\n"
    "  -f, --file NAME     write /etc/vz/conf/ve-NAME.conf-sample, not standard output\n"
    "  -s, --swap KIB      swap space to share out, not all the host has\n"
    "  -v, --vswap yes|no  limit memory as a whole (yes), or by beancounters\n"
    "  -j, --json          a JSON object with its parameters\n"
    "  -h, --help, --version\n";

Result<uint64_t> how_many(const Parsed& options) {
  TRY_AS(const auto number, number_option(options, "number", 1));
  if (number) return *number;
  fmt::print(stderr, "Enter the number of containers: ");
  std::string answer;
  std::getline(std::cin, answer);
  const auto typed = parse_u64(trim(answer));
  if (!typed || *typed == 0) return fail(Code::usage, "Invalid number '{}'", printable(trim(answer)));
  return *typed;
}

// The file system that private areas are on: of the directory nearest to VE_PRIVATE that exists.
void measure_disk(config::SplitRequest& request) {
  const auto host = runtime::load_host();
  config::CtSpec spec;
  if (host) config::load(host->conf_file, 1, spec);
  std::string path = spec.ve_private.value_or("/var/lib/vz/private/1");
  while (!sys::exists(path) && path != "/") path = sys::parent_dir(path);
  struct ::statvfs disk {};
  if (::statvfs(path.c_str(), &disk) != 0) return;
  request.disk_kib = static_cast<uint64_t>(disk.f_blocks) * disk.f_frsize / config::kDiskBlock;
  request.inodes = disk.f_files;
}

Result<void> write_sample(const std::string& name, const std::string& text) {
  if (!config::codec::FileName::parse(name)) return fail(Code::usage, "Invalid name '{}'", printable(name));
  const std::string path = fmt::format("{}/ve-{}.conf-sample", state::Paths().conf_dir, name);
  const auto made = sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (!made && made.error().sys_errno == EEXIST) return fail(Code::exists, "File {} already exist", path);
  if (!made) return made.error();
  TRY(sys::write_all(made->get(), text), "write '{}'", path);
  fmt::print("Config {} was created\n", path);
  return {};
}

void print_json(const config::SplitRequest& request, const std::string& text) {
  Json parameters = Json::object();
  const config::File file = config::File::parse(text);
  for (const auto& [key, value] : file.entries()) parameters[key] = value;
  fmt::print("{}\n", pretty_json({{"containers", request.containers},
                                  {"host", {{"ram", request.host.ram}, {"swap", request.host.swap}}},
                                  {"parameters", parameters}}));
}

Result<int> run(const Parsed& options) {
  if (!options.rest.empty()) return fail(Code::usage, "Invalid extra argument '{}'", printable(options.rest[0]));
  config::SplitRequest request;
  TRY_AS(const auto swap, number_option(options, "swap"));
  TRY_AS(const auto vswap, yes_no_option(options, "vswap"));
  TRY_AS(request.containers, how_many(options));
  TRY_AS(request.host, runtime::host_size());
  request.vswap = vswap.value_or(true);
  constexpr uint64_t kKiB = 1024;
  if (swap) request.host.swap = std::min(*swap, request.host.ram * 64 / kKiB) * kKiB;
  measure_disk(request);
  TRY_AS(const std::string text, config::split_host(request));
  if (options.has("json") && options.has("file")) return fail(Code::usage, "Use either -j or -f");
  if (options.has("json")) {
    print_json(request, text);
    return 0;
  }
  if (const auto name = options.value("file"))
    TRY(write_sample(*name, text));
  else
    std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzsplit", .usage = kUsage, .options = kOptions, .run = run}, argc, argv);
}
