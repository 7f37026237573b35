// vzmigrate: moves one container to another host.
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "cli/command.h"
#include "migrate/migrate.h"
#include "sys/cancel.h"

namespace vz::cli {

namespace {

constexpr Option kOptions[] = {{"remove-area", true, 'r'},
                               {"online"},
                               {"live"},
                               {"keep-dst"},
                               {"ssh", true},
                               {"rsync", true},
                               {"times", false, 't'},
                               {"verbose", false, 'v'},
                               {"check-only"},
                               {"dry-run"},
                               {"help", false, 'h'},
                               {"version"}};

// vzmigrate(8): not vzctl's numbers.
constexpr std::pair<Code, int> kExitCodes[] = {
    {Code::usage, 1},          {Code::not_running, 2},     {Code::connect_failed, 4}, {Code::copy_failed, 6},
    {Code::restore_failed, 7}, {Code::start_failed, 7},    {Code::mount_failed, 7},   {Code::checkpoint_failed, 8},
    {Code::stop_failed, 8},    {Code::exists, 9},          {Code::no_ct_config, 10},  {Code::invalid, 10},
    {Code::no_private, 10},    {Code::address_in_use, 12}, {Code::unsupported, 17},   {Code::cpu_mismatch, 18},
    {Code::locked, 20},        {Code::peer, 21},           {Code::cancelled, 25},     {Code::no_space, 31},
    {Code::name_conflict, 45}, {Code::network_failed, 61}, {Code::in_doubt, 70}};

int exit_status(Code code) {
  for (const auto& [c, status] : kExitCodes)
    if (c == code) return status;
  return 3;
}

constexpr const char* kUsage =
    "Usage: vzmigrate [OPTION...] [USER@]HOST CTID|NAME\n"
    "  --online, --live      move it running: programs and connections go on\n"
    "  -r, --remove-area yes|no  remove the source afterwards (yes), or keep it as CTID.conf.migrated\n"
    "  --keep-dst            after a failure keep the copied files there for the next try\n"
    "  --ssh=OPTIONS, --rsync=OPTIONS  further options for those programs\n"
    "  --check-only, --dry-run  stop after the checks\n"
    "  -t, --times           print how long each phase took\n"
    "  -v                    details\n";

struct Job {
  migrate::Address to;
  migrate::Options options;
  std::string who;
};

Result<bool> yes_or_no(const std::string& value) {
  if (value == "yes") return true;
  if (value == "no") return false;
  return fail(Code::usage, "-r takes yes or no, not '{}'", printable(value));
}

Result<Job> parse(const Parsed& p) {
  if (p.rest.size() != 2) return fail(Code::usage, "HOST and CTID are due (see vzmigrate --help)");
  Job job;
  job.to.target = p.rest[0];
  job.who = p.rest[1];
  TRY_AS(job.to.ssh_options, migrate::split_words(p.value("ssh").value_or("")));
  TRY_AS(job.to.rsync_options, migrate::split_words(p.value("rsync").value_or("")));
  TRY_AS(job.options.remove_area, yes_or_no(p.value("remove-area").value_or("yes")));
  job.options.online = p.has("online") || p.has("live");
  job.options.keep_dst = p.has("keep-dst");
  job.options.check_only = p.has("check-only") || p.has("dry-run");
  job.options.times = p.has("times");
  return job;
}

Result<runtime::Host> host_with_log(int verbose) {
  TRY_AS(runtime::Host host, runtime::load_host());
  log::Settings& s = log::settings();
  s.program = "vzmigrate";
  s.verbosity = verbose;
  s.file = host.conf.logging ? host.conf.logfile : "";
  s.file_level = host.conf.log_level;
  return host;
}

// The far end of a move, started through ssh: its standard output is the wire, so nothing else may be printed there.
Result<int> receive() {
  TRY_AS(runtime::Host host, host_with_log(-1));
  TRY(migrate::receive(host, 0, 1));
  return 0;
}

Result<int> run(const std::vector<std::string>& args) {
  if (args.size() == 1 && args[0] == "receive") return receive();
  TRY_AS(Parsed p, parse_options(args, kOptions));
  if (args.empty() || p.has("help")) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (p.has("version")) {
    std::puts("vzmigrate version " VESSEL_VERSION);
    return 0;
  }
  TRY_AS(Job job, parse(p));
  int verbose = 0;
  for (const Parsed::Item& i : p.items) verbose += i.name == "verbose";
  TRY_AS(runtime::Host host, host_with_log(verbose));
  TRY_AS(config::CtId id, state::resolve(host.paths, job.who));
  log::settings().ctid = id;
  TRY_AS(runtime::Container ct, runtime::load_container(host, id));
  sys::catch_cancel_signals();
  TRY_AS(state::Lock lock, state::Lock::take(host.conf.lockdir, id, "migrating"));
  TRY(migrate::send(host, ct, job.to, job.options));
  return 0;
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto status = vz::cli::run({argv + 1, argv + argc});
  if (status) return *status;
  vz::log::error("Error: {}", status.error().text);
  return vz::cli::exit_status(status.error().code);
}
