// vzmigrate: moves containers to another host.
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/each.h"
#include "migrate/changes.h"
#include "migrate/events.h"
#include "migrate/landing.h"
#include "migrate/migrate.h"
#include "migrate/page_flow.h"
#include "migrate/recover.h"
#include "migrate/rounds.h"
#include "migrate/steps.h"
#include "migrate/tmpfs_ahead.h"
#include "state/moves.h"
#include "sys/cancel.h"

namespace vz::cli {

namespace {

constexpr Option kOptions[] = {{"remove-area", true, 'r'},
                               {"online"},
                               {"live"},
                               {"lazy"},
                               {"precopy", true},
                               {"max-freeze", true},
                               {"bwlimit", true},
                               {"keep-dst"},
                               {"ssh", true},
                               {"sudo"},
                               {"rsync", true},
                               {"times", false, 't'},
                               {"json", false, 'j'},
                               {"verbose", false, 'v'},
                               {"check-only"},
                               {"dry-run"},
                               {"all"},
                               {"evacuate"},
                               {"parallel", true},
                               {"recover"},
                               {"resolve", true},
                               {"help", false, 'h'},
                               {"version"}};

// vzmigrate(8): not vzctl's numbers.
constexpr std::pair<Code, int> kExitCodes[] = {
    {Code::usage, 1},          {Code::not_running, 2},       {Code::connect_failed, 4}, {Code::copy_failed, 6},
    {Code::restore_failed, 7}, {Code::start_failed, 7},      {Code::mount_failed, 7},   {Code::script_failed, 7},
    {Code::device_failed, 7},  {Code::checkpoint_failed, 8}, {Code::stop_failed, 8},    {Code::exists, 9},
    {Code::no_ct_config, 10},  {Code::invalid, 10},          {Code::no_private, 10},    {Code::address_in_use, 12},
    {Code::unsupported, 17},   {Code::cpu_mismatch, 18},     {Code::locked, 20},        {Code::peer, 21},
    {Code::timeout, 22},       {Code::cancelled, 25},        {Code::no_space, 31},      {Code::mounted, 36},
    {Code::name_conflict, 45}, {Code::network_failed, 61},   {Code::in_doubt, 70}};

int exit_status(Code code) {
  for (const auto& [c, status] : kExitCodes)
    if (c == code) return status;
  return 3;
}

constexpr const char* kUsage =
    "Usage: vzmigrate [OPTION...] [USER@]HOST CTID|NAME...\n"
    "       vzmigrate [OPTION...] --all|--evacuate [USER@]HOST\n"
    "       vzmigrate --recover [--resolve=here|there] CTID|NAME\n"
    "  --online, --live      move it running: programs and connections go on\n"
    "  --lazy                move it running, its memory follows it: a short freeze whatever its size\n"
    "  --precopy N           copy its memory beforehand in up to N rounds; 0: all of it in the freeze\n"
    "  --max-freeze MS       give up, and go on here, rather than stand still for longer\n"
    "  --bwlimit RATE        copy at RATE KiB (or with M, G) a second, as long as the container does not wait for it\n"
    "  -r, --remove-area yes|no  remove the source afterwards (yes), or keep it as CTID.conf.migrated\n"
    "  --keep-dst            after a failure keep the copied files there for the next try\n"
    "  --ssh=OPTIONS, --rsync=OPTIONS  further options for those programs\n"
    "  --sudo                be root there by sudo: USER needs no password for it\n"
    "  --check-only, --dry-run  stop after the checks\n"
    "  -t, --times           print how long each phase took\n"
    "  -j, --json            in place of text one JSON object a line for each thing that happens\n"
    "  --all                 every container of this host; with --online those that run are moved running\n"
    "  --evacuate            the same as --all --online\n"
    "  --parallel N          as many at the same time; 1 if not given\n"
    "  --recover             bring a move that was broken off to its end, asking the other host whose the container "
    "is\n"
    "  --resolve=here|there  you say it, because the other host cannot be asked and never will know\n"
    "  -v                    details\n";

struct Job {
  migrate::Address to;
  migrate::Options options;
  std::vector<std::string> who;
  bool all = false;  // instead of these
  size_t parallel = 1;
};

Result<bool> yes_or_no(const std::string& value) {
  if (value == "yes") return true;
  if (value == "no") return false;
  return fail(Code::usage, "-r takes yes or no, not '{}'", printable(value));
}

Result<Job> parse(const Parsed& p) {
  Job job;
  job.all = p.has("all") || p.has("evacuate");
  if (job.all && p.rest.size() != 1) return fail(Code::usage, "with --all only HOST is due (see vzmigrate --help)");
  if (!job.all && p.rest.size() < 2) return fail(Code::usage, "HOST and CTID are due (see vzmigrate --help)");
  job.to.target = p.rest[0];
  job.who.assign(p.rest.begin() + 1, p.rest.end());
  if (const auto parallel = p.value("parallel")) {
    const auto n = parse_u64(*parallel);
    if (!n || *n == 0 || *n > 64) return fail(Code::usage, "--parallel takes 1 to 64, not '{}'", printable(*parallel));
    job.parallel = *n;
  }
  job.to.sudo = p.has("sudo");
  TRY_AS(job.to.ssh_options, migrate::split_words(p.value("ssh").value_or("")));
  TRY_AS(job.to.rsync_options, migrate::split_words(p.value("rsync").value_or("")));
  TRY_AS(job.options.remove_area, yes_or_no(p.value("remove-area").value_or("yes")));
  job.options.lazy = p.has("lazy");
  job.options.online = p.has("online") || p.has("live") || p.has("evacuate") || job.options.lazy;
  if (const auto most = p.value("precopy")) {
    const auto n = parse_u64(*most);
    if (!n || *n > migrate::kMostRounds)
      return fail(Code::usage, "--precopy takes 0 to {}, not '{}'", migrate::kMostRounds, printable(*most));
    if (*n > 0 && !job.options.online) return fail(Code::usage, "--precopy goes with --online or --lazy");
    job.options.precopy = static_cast<unsigned>(*n);
  }
  if (const auto most = p.value("max-freeze")) {
    const auto ms = parse_u64(*most);
    if (!ms || *ms == 0 || *ms > 3600'000)
      return fail(Code::usage, "--max-freeze takes milliseconds, not '{}'", printable(*most));
    job.options.max_freeze = std::chrono::milliseconds(*ms);
  }
  if (const auto rate = p.value("bwlimit")) {
    constexpr uint64_t kLeast = 64;  // slower, the destination would take us for gone
    const auto bytes = config::parse_size(*rate, 1024);
    if (!bytes || *bytes < kLeast || *bytes > UINT32_MAX)
      return fail(Code::usage, "--bwlimit takes KiB a second, 64 at least, or a number with M or G, not '{}'",
                  printable(*rate));
    job.options.bwlimit = *bytes * 1024;
  }
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
Result<int> receive(const std::vector<std::string>&) {
  TRY_AS(runtime::Host host, host_with_log(-1));
  TRY(migrate::receive(host, 0, 1));
  return 0;
}

struct Named {
  config::CtId id;
  std::string_view move;
};
Result<Named> parse_named(const std::vector<std::string>& args) {
  const auto id = args.size() == 3 ? parse_u64(args[1]) : std::nullopt;
  if (!id || *id == 0 || *id > config::kMaxCtId || !state::valid_move_name(args[2]))
    return fail(Code::usage, "{} CTID MOVE is due", args[0]);
  return Named{static_cast<config::CtId>(*id), args[2]};
}

// "verdict CTID MOVE": the question of a source that has no answer.
Result<int> verdict(const std::vector<std::string>& args) {
  TRY_AS(const Named n, parse_named(args));
  TRY_AS(runtime::Host host, host_with_log(-1));
  TRY_AS(std::string answer, migrate::verdict(host, n.id, n.move));
  std::puts(answer.c_str());
  return 0;
}

// "forget CTID MOVE": the source has heard that the CT is ours. It may not have heard that we have forgotten already.
Result<int> forget(const std::vector<std::string>& args) {
  TRY_AS(const Named n, parse_named(args));
  TRY_AS(runtime::Host host, host_with_log(-1));
  auto record = state::load_move(host.paths, n.id, n.move);
  if (!record && record.error().code == Code::not_found) return 0;
  TRY_AS(const state::Move m, std::move(record));
  if (m.state != state::MoveState::released) return fail(Code::invalid, "the move is {}", state::text(m.state));
  TRY(state::forget_move(host.paths, n.id, n.move));
  return 0;
}

// "pages CTID MOVE": memory, from our standard input to the receiver of MOVE, and its questions back.
Result<int> pages(const std::vector<std::string>& args) {
  TRY_AS(const Named n, parse_named(args));
  TRY_AS(runtime::Host host, host_with_log(-1));
  TRY(migrate::connect_pages(migrate::images_dir(host, n.id)));
  return 0;
}

// "charge CTID MOVE COMMAND...": what it fills of our memory counts as that of the CT, which MOVE brings here.
Result<int> charge(const std::vector<std::string>& args) {
  if (args.size() < 4) return fail(Code::usage, "{} CTID MOVE COMMAND is due", args[0]);
  const std::vector<std::string> named(args.begin(), args.begin() + 3);
  TRY_AS(const Named n, parse_named(named));
  TRY_AS(runtime::Host host, host_with_log(-1));
  TRY_AS(const state::Move m, state::load_move(host.paths, n.id, std::string(n.move)));
  if (m.state != state::MoveState::receiving) return fail(Code::invalid, "the move is {}", state::text(m.state));
  TRY_AS(const runtime::Container ct, migrate::kept_container(host, n.id));
  TRY(migrate::join_memory(ct));
  return sys::exec({args.begin() + 3, args.end()});
}

// "remove NAME...": what was removed on the source, from the directory that we are in.
Result<int> remove(const std::vector<std::string>& args) {
  TRY(migrate::remove_names(".", {args.begin() + 1, args.end()}));
  return 0;
}

Result<int> print_steps(const std::vector<std::string>&) {
  for (const migrate::Step& s : migrate::steps()) fmt::print("{} {} {}\n", s.side, s.name, s.what);
  return 0;
}

// What hosts and tests ask each other; not for people.
constexpr std::pair<std::string_view, Result<int> (*)(const std::vector<std::string>&)> kInternal[] = {
    {"receive", receive}, {"verdict", verdict}, {"forget", forget},    {"pages", pages},
    {"charge", charge},   {"remove", remove},   {"steps", print_steps}};

Result<int> recover(const runtime::Host& host, const Parsed& p) {
  if (p.rest.size() != 1) return fail(Code::usage, "CTID is due (see vzmigrate --help)");
  const std::string whose = p.value("resolve").value_or("");
  if (!whose.empty() && whose != "here" && whose != "there")
    return fail(Code::usage, "--resolve takes here or there, not '{}'", printable(whose));
  TRY_AS(const config::CtId id, state::resolve(host.paths, p.rest[0]));
  log::settings().ctid = id;
  sys::catch_cancel_signals();
  TRY_AS(state::Lock lock, state::Lock::take(host.conf.lockdir, id, "migrating"));
  if (state::moves(host.paths, id).empty()) {
    log::info("No move of CT {} was broken off", id);
    return 0;
  }
  TRY(whose.empty() ? migrate::recover(host, id)
                    : migrate::resolve(host, id, whose == "here" ? migrate::Whose::here : migrate::Whose::there));
  log::info("The move of CT {} is settled", id);
  return 0;
}

Result<std::vector<config::CtId>> containers(const runtime::Host& host, const Job& job) {
  if (job.all) return state::all(host.paths);
  std::vector<config::CtId> ids;
  for (const std::string& who : job.who) {
    TRY_AS(const config::CtId id, state::resolve(host.paths, who));
    if (job.who.size() > 1) TRY(runtime::load_container(host, id), "CT {}", id);  // before the others are touched
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  }
  return ids;
}

Result<void> move_one(const runtime::Host& host, config::CtId id, const Job& job) {
  log::settings().ctid = id;
  TRY_AS(runtime::Container ct, runtime::load_container(host, id));
  TRY_AS(state::Lock lock, state::Lock::take(host.conf.lockdir, id, "migrating"));
  migrate::Options options = job.options;
  if (job.all && !state::running(host.paths, id)) options.online = options.lazy = false;
  return migrate::send(host, ct, job.to, options);
}

int report(const Error& error) {
  log::error("Error: {}", error.text);
  return exit_status(error.code);
}

void tell_end(int status, std::string_view error) { migrate::tell("end", {{"status", status}, {"error", error}}); }

// Its exit status; a failure is told.
int move_and_tell(const runtime::Host& host, config::CtId id, const Job& job) {
  const auto moved = move_one(host, id, job);
  const int status = moved ? 0 : report(moved.error());
  tell_end(status, moved ? "" : moved.error().text);
  return status;
}

// Goes on after one that fails: the others have nothing to do with it. Returns the first bad exit status.
Result<int> move_several(const runtime::Host& host, const std::vector<config::CtId>& ids, const Job& job) {
  log::settings().name_ct = true;
  TRY_AS(const auto outcomes,
         for_each({ids}, job.parallel, [&](config::CtId id) { return move_and_tell(host, id, job); }));
  log::settings().name_ct = false;
  std::string failed;
  int status = 0;
  size_t good = 0;
  for (const Outcome& o : outcomes) {
    good += o.status == 0;
    if (o.status == 0) continue;
    if (o.status == kNotBegun) {
      log::settings().ctid = o.id;
      tell_end(exit_status(Code::cancelled), "not begun");
    }
    failed +=
        fmt::format(", {} ({})", o.id, o.status == kNotBegun ? "not begun" : fmt::format("exit status {}", o.status));
    if (status == 0) status = o.status == kNotBegun ? exit_status(Code::cancelled) : o.status;
  }
  const std::string_view what = job.options.check_only ? "can be moved" : "moved";
  log::info("{} of {} containers {}", good, outcomes.size(), what);
  if (!failed.empty()) log::error("Error: not {}: {}", what, failed.substr(2));
  return status;
}

Result<int> run(const std::vector<std::string>& args) {
  for (const auto& [word, function] : kInternal)
    if (!args.empty() && args[0] == word) return function(args);
  TRY_AS(Parsed p, parse_options(args, kOptions));
  if (args.empty() || p.has("help")) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (p.has("version")) {
    std::puts("vzmigrate version " VESSEL_VERSION);
    return 0;
  }
  int verbose = 0;
  for (const Parsed::Item& i : p.items) verbose += i.name == "verbose";
  TRY_AS(runtime::Host host, host_with_log(verbose));
  if (p.has("recover")) return recover(host, p);
  TRY_AS(Job job, parse(p));
  TRY_AS(const std::vector<config::CtId> ids, containers(host, job));
  sys::catch_cancel_signals();
  if (p.has("json")) {
    migrate::want_events();
    log::settings().quiet = true;
  }
  if (ids.size() == 1 && !job.all) return move_and_tell(host, ids.front(), job);
  return move_several(host, ids, job);
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto status = vz::cli::run({argv + 1, argv + argc});
  return status ? *status : vz::cli::report(status.error());
}
