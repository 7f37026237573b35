// vzquota: disk usage and limits of a container, as OpenVZ's tool of that name tells and sets them; vzquota(8).
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "cli/tool.h"
#include "runtime/disk_quota.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::cli {

namespace {

// OpenVZ's exit statuses.
constexpr int kSystem = 1, kMisused = 2, kQuotaFile = 4, kRunning = 5, kNotRunning = 6, kNoConfig = 12;
constexpr int kNoQuota = 11;

constexpr const char* kUsage =
    "Usage: vzquota [-q] [-v] [-b] [-j] COMMAND CTID|NAME [OPTION...]\n"
    "  stat       usage and limits of a mounted container\n"
    "  show       the same, mounted or not\n"
    "  setlimit   changes limits\n"
    "  on         what follows answers old scripts: limits are the image's own\n"
    "  off\n"
    "  init\n"
    "  drop\n"
    "  -b, --batch  numbers only\n"
    "  -q, --quiet  no warnings\n"
    "  -v, --verbose\n"
    "  -j, --json   of stat and show: a JSON object\n"
    "  -h, --help, -V, --version\n"
    "Options of a command:\n"
    "  -b, --block-softlimit KIB\n"
    "  -B, --block-hardlimit KIB\n"
    "  -e, --block-exptime TIME  seconds, dd:hh:mm:ss, or a number with h, d, w, m, y\n"
    "  -t, --user-group          of stat and show: and of users and groups, who have no limits here\n"
    "  -i, --inode-softlimit N, -I, --inode-hardlimit N, -n, --inode-exptime TIME, -s, --sub-quotas 0|1,\n"
    "  -u, --ugid-limit N, -p, --path DIRECTORY, -c, --quota-file FILE, -R, --relative, -f, --force, --nocheck,\n"
    "  -r, --rsquash             taken, without effect\n";

constexpr Option kOptions[] = {{"quiet", false, 'q'}, {"verbose", false, 'v'}, {"batch", false, 'b'},
                               {"json", false, 'j'},  {"help", false, 'h'},    {"version", false, 'V'}};
constexpr Option kCommandOptions[] = {{"path", true, 'p'},
                                      {"quota-file", true, 'c'},
                                      {"relative", false, 'R'},
                                      {"block-softlimit", true, 'b'},
                                      {"block-hardlimit", true, 'B'},
                                      {"inode-softlimit", true, 'i'},
                                      {"inode-hardlimit", true, 'I'},
                                      {"block-exptime", true, 'e'},
                                      {"inode-exptime", true, 'n'},
                                      {"sub-quotas", true, 's'},
                                      {"ugid-limit", true, 'u'},
                                      {"rsquash", false, 'r'},
                                      {"force", false, 'f'},
                                      {"nocheck"},
                                      {"user-group", false, 't'},
                                      {"json", false, 'j'}};

bool quiet = false;

int error(int status, std::string_view text) {
  log::error("vzquota : (error) {}", text);
  return status;
}
void warning(std::string_view text) {
  if (!quiet) log::error("vzquota : (warning) {}", text);
}

struct Request {
  config::CtId id;
  runtime::Container ct;
  Parsed options;
  bool batch = false, json = false;
  bool mounted() const { return storage::is_mounted(ct.area); }
  std::string name() const { return fmt::format("for id {}", id); }
};

// ---- stat, show ---------------------------------------------------------------------------------------------------

Json json_of(const runtime::QuotaLine& line) {
  return {{"usage", line.usage}, {"softlimit", line.soft}, {"hardlimit", line.hard}};
}

int tell(const Request& r) {
  const auto quota = runtime::disk_quota(r.ct);
  if (!quota) {
    const Code why = quota.error().code;
    const bool none = why == Code::unsupported || why == Code::no_private || quota.error().sys_errno == ENOENT;
    return error(none ? kNoQuota : kQuotaFile, fmt::format("There is no quota {}: {}", r.name(), quota.error().text));
  }
  if (r.json) {
    fmt::print("{}\n", pretty_json({{"ctid", r.id},
                                    {"running", quota->on},
                                    {"diskspace", json_of(quota->blocks)},
                                    {"diskinodes", json_of(quota->inodes)},
                                    {"grace_seconds", quota->grace}}));
    return 0;
  }
  std::fputs((r.batch ? print_quota_batch(*quota) : print_quota(*quota)).c_str(), stdout);
  if (r.options.has("user-group"))
    std::fputs("User/group quota: off,inactive\nUgids: loaded 0, total 0, limit 0\nUgid limit was exceeded: no\n",
               stdout);
  return 0;
}

int stat(const Request& r) {
  if (!r.mounted()) return error(kNotRunning, fmt::format("Quota is not running {}", r.name()));
  return tell(r);
}

int show(const Request& r) {
  if (r.mounted()) warning(fmt::format("Quota is running {}: this is what it has now", r.name()));
  return tell(r);
}

// ---- what an image has by itself ----------------------------------------------------------------------------------

bool has_image(const Request& r) {
  return r.ct.area.layout == config::Layout::image && storage::area_exists(r.ct.area.private_dir);
}
int no_quota(const Request& r) {
  return error(kNoQuota, fmt::format("There is no quota {}: no image in '{}'", r.name(), r.ct.area.private_dir));
}

int init(const Request& r) {
  if (r.mounted()) return error(kRunning, fmt::format("Quota is running {}", r.name()));
  if (!has_image(r)) return no_quota(r);
  return error(kQuotaFile, fmt::format("Quota exists {}: its image has it since vzctl create", r.name()));
}

int on(const Request& r) {
  if (r.mounted()) return error(kRunning, fmt::format("Quota is running {} already", r.name()));
  if (!has_image(r)) return no_quota(r);
  return error(kSystem, fmt::format("Quota {0} is on while it is mounted: vzctl mount {1}", r.name(), r.id));
}

int off(const Request& r) {
  if (!r.mounted()) return error(kNotRunning, fmt::format("Quota is not running {}", r.name()));
  return error(kSystem,
               fmt::format("Quota {0} is on while it is mounted: vzctl stop {1}, or vzctl umount {1}", r.name(), r.id));
}

// Nothing is counted apart from the image, and so nothing can be forgotten: what scripts want of it is so.
int drop(const Request& r) {
  if (r.mounted()) return error(kRunning, fmt::format("Quota is running {}", r.name()));
  return has_image(r) ? 0 : no_quota(r);
}

int without_users(const Request& r) {
  return error(kSystem, fmt::format("There is no quota for users and groups {}", r.name()));
}

// ---- setlimit -----------------------------------------------------------------------------------------------------

constexpr std::pair<char, uint64_t> kTimeUnits[] = {
    {'h', 3600}, {'d', 86400}, {'w', 7 * 86400}, {'m', 30 * 86400}, {'y', 365 * 86400}};

// In seconds.
std::optional<uint64_t> parse_time(std::string_view text) {
  constexpr uint64_t kFactors[] = {24, 60, 60}, kMost = INT32_MAX;
  const auto checked = [](uint64_t v) { return v <= kMost ? std::optional(v) : std::nullopt; };
  const auto parts = split(text, ':');
  if (parts.size() == std::size(kFactors) + 1) {
    uint64_t sum = 0;
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto n = parse_u64(parts[i]);
      if (!n || *n > kMost) return std::nullopt;
      sum = sum * (i ? kFactors[i - 1] : 1) + *n;
    }
    return checked(sum);
  }
  uint64_t unit = 1;
  for (const auto& [letter, seconds] : kTimeUnits)
    if (text.ends_with(letter)) unit = seconds;
  const auto n = parse_u64(unit == 1 ? text : text.substr(0, text.size() - 1));
  return n && *n <= kMost ? checked(*n * unit) : std::nullopt;
}

// What `vzctl set` makes of it, which knows how images are resized.
Result<std::vector<std::string>> set_words(const Request& r) {
  for (const char* name : {"inode-softlimit", "inode-hardlimit", "inode-exptime"})
    if (r.options.has(name)) warning(fmt::format("--{} has no effect: an image's inodes follow its size", name));
  std::vector<std::string> words = {"vzctl", "--quiet", "set", std::to_string(r.id), "--save"};
  TRY_AS(const auto soft, number_option(r.options, "block-softlimit"));
  TRY_AS(const auto hard, number_option(r.options, "block-hardlimit", 1));
  if (soft || hard) {
    const auto now = r.ct.spec.diskspace.value_or(config::BarrierLimit());
    words.insert(words.end(),
                 {"--diskspace", fmt::format("{}:{}", soft.value_or(now.barrier), hard.value_or(now.limit))});
  }
  if (const auto text = r.options.value("block-exptime")) {
    const auto seconds = parse_time(*text);
    if (!seconds) return fail(Code::usage, "Invalid --block-exptime '{}'", printable(*text));
    words.insert(words.end(), {"--quotatime", std::to_string(*seconds)});
  }
  return words;
}

int setlimit(const Request& r) {
  if (!has_image(r)) return no_quota(r);
  constexpr size_t kNothingSet = 5;
  auto words = set_words(r);
  if (!words) return error(kMisused, words.error().text);
  if (words->size() == kNothingSet) return error(kMisused, "-b, -B or -e expected");
  (*words)[0] = sys::parent_dir(sys::read_link("/proc/self/exe").value_or("")) + "/vzctl";
  const auto done = sys::run_ok({.argv = *words});
  return done ? 0 : error(kSystem, done.error().text);
}

// ---- the command line ---------------------------------------------------------------------------------------------

struct Verb {
  std::string_view name;
  int (*run)(const Request&);
};
constexpr Verb kVerbs[] = {{"stat", stat},
                           {"show", show},
                           {"init", init},
                           {"on", on},
                           {"off", off},
                           {"drop", drop},
                           {"setlimit", setlimit},
                           {"setlimit2", without_users},
                           {"reload2", without_users}};

Result<int> run_command(const Parsed& global) {
  if (global.rest.empty()) return error(kMisused, "a command is missing; see vzquota --help");
  const auto verb =
      std::find_if(std::begin(kVerbs), std::end(kVerbs), [&](const Verb& v) { return v.name == global.rest[0]; });
  if (verb == std::end(kVerbs))
    return error(kMisused, fmt::format("unknown command '{}'; see vzquota --help", printable(global.rest[0])));
  TRY_AS(Parsed options, parse_options({global.rest.begin() + 1, global.rest.end()}, kCommandOptions));
  const bool words_more = verb->run == without_users;  // limits as bare words
  if (options.rest.empty() || (options.rest.size() > 1 && !words_more)) return error(kMisused, "one CTID expected");
  TRY_AS(const runtime::Host host, runtime::load_host());
  const auto id = state::resolve(host.paths, options.rest[0]);
  if (!id) return error(kMisused, id.error().text);
  auto ct = runtime::load_container(host, *id);
  if (!ct && ct.error().code == Code::no_ct_config)
    return error(kNoQuota, fmt::format("There is no quota for id {}: no such container", *id));
  if (!ct) return error(kNoConfig, ct.error().text);
  const bool json = global.has("json") || options.has("json");
  return verb->run({*id, std::move(*ct), std::move(options), global.has("batch"), json});
}

Result<int> run(const Parsed& global) {
  quiet = global.has("quiet");
  auto status = run_command(global);
  if (status) return status;
  return error(status.error().code == Code::usage ? kMisused : kSystem, status.error().text);
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  const std::vector<std::string> args(argv + std::min(argc, 1), argv + argc);
  if (args == std::vector<std::string>{"-V"} || args == std::vector<std::string>{"--version"}) {
    std::puts("Vzquota version 2.5.0 (Vessel " VESSEL_VERSION ")");
    return 0;
  }
  return run_tool({.name = "vzquota",
                   .usage = kUsage,
                   .options = kOptions,
                   .run = run,
                   .for_root = true,
                   .words_last = true,
                   .misused = kMisused},
                  args);
}
