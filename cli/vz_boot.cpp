// vz-boot: starts containers when the host boots, suspends or stops them when it shuts down; vz.service(8).
#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <functional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/each.h"
#include "cli/exit_codes.h"
#include "runtime/boot.h"
#include "runtime/stop.h"
#include "state/moves.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::cli {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr Option kOptions[] = {{"within", true}, {"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vz-boot start                   start what has ONBOOT=yes, and what ran at the shutdown\n"
    "       vz-boot stop [--within SECONDS] suspend or stop what runs; kill what still runs then\n";

// How long vzctl may take for one container.
constexpr milliseconds kStartTime = 10min;
constexpr milliseconds kSuspendTime = 5min;
constexpr milliseconds kBeyondStopTimeout = 1min;
constexpr milliseconds kKillTime = 1min;
constexpr milliseconds kLockTime = 30s;  // for who holds the container to be done with it
constexpr milliseconds kSettleTime = 1min;
constexpr auto kWithin = 20min;  // all of them; systemd gives a shutdown 30

constexpr int kFailed = 1;
constexpr int kBrokenOff = 2;  // by a signal

// ---- other commands, bounded ---------------------------------------------------------------------------------------

struct Ending {
  int status = 0;
  std::string said;
};

// SIGTERM, upon which vzctl undoes what it began, then SIGKILL. What survives that hangs in the kernel.
void end(const sys::Forked& child) {
  for (const auto& [signal, patience] : {std::pair{SIGTERM, 20s}, {SIGKILL, 5s}}) {
    (void)sys::send_signal(child.pidfd.get(), signal);
    if (!sys::wait_ended(child.pidfd.get(), patience).value_or(false)) continue;
    (void)sys::wait_child(child.pid);
    return;
  }
}

// WORDS[0] is one beside us in sbin. Code::timeout, Code::cancelled.
Result<Ending> command(const std::vector<std::string>& words, milliseconds limit) {
  // A file: a pipe would have to be read while waiting.
  const sys::UniqueFd said(::memfd_create("said", MFD_CLOEXEC));
  if (!said) return fail_sys(errno, "memfd");
  const std::string self = sys::read_link("/proc/self/exe").value_or("");
  sys::Program program;
  program.argv = words;
  program.argv[0] = fmt::format("{}/sbin/{}", sys::parent_dir(sys::parent_dir(sys::parent_dir(self))), words[0]);
  program.stdout_fd = program.stderr_fd = said.get();
  TRY_AS(const sys::Forked child, sys::start(program));
  const auto ended = sys::wait_ended(child.pidfd.get(), limit);
  if (!ended || !*ended) {
    end(child);
    if (!ended) return ended.error();
    return fail(Code::timeout, "it took more than {} s", std::chrono::round<std::chrono::seconds>(limit).count());
  }
  TRY_AS(const sys::ExitStatus status, sys::wait_child(child.pid));
  Ending e;
  e.status = status.signal ? 128 + status.signal : status.code;
  if (::lseek(said.get(), 0, SEEK_SET) == 0) e.said = sys::read_fd(said.get()).value_or("");
  return e;
}

// Again, for PATIENCE, while somebody else holds the container.
Result<Ending> vzctl_when_free(std::vector<std::string> words, milliseconds limit, milliseconds patience) {
  constexpr auto kPause = 500ms;
  words.insert(words.begin(), {"vzctl", "--quiet"});
  const auto until = Clock::now() + std::min(limit, patience);
  for (;;) {
    TRY_AS(Ending e, command(words, limit));
    if (e.status != exit_code(Code::locked) || sys::time_left(until) <= kPause) return e;
    (void)::poll(nullptr, 0, kPause.count());
    TRY(sys::check_cancelled());
  }
}

// Its last line: the one that tells why.
std::string reason(const Ending& e) {
  const auto lines = split(trim(e.said), '\n');
  return lines.empty() ? fmt::format("exit status {}", e.status) : printable(lines.back());
}

// ---- one container, in a process of its own ------------------------------------------------------------------------

int start_one(const runtime::Host& host, config::CtId id) {
  log::settings().ctid = id;
  const auto e = vzctl_when_free({"start", std::to_string(id)}, kStartTime, kLockTime);
  if (!e && e.error().code == Code::cancelled) return kBrokenOff;
  if (auto gone = state::unmark(host.paths, id); !gone) log::warn("{}", gone.error().text);
  if (e && (e->status == 0 || e->status == exit_code(Code::running))) {
    if (e->status == 0 && !e->said.empty())
      log::warn("{}", reason(*e));  // booted, for example, since the dump could not be used
    log::info("started");
    return 0;
  }
  log::error("Error: not started: {}", e ? reason(*e) : e.error().text);
  return kFailed;
}

struct Way {
  const char* done;
  std::vector<std::string> words;
  milliseconds limit;
  bool kills = false;
};

// From the kindest to the surest. The last one is for a lock whose holder hangs: without the lock, what the supervisor
// cleans up would be cleaned up twice at once.
std::vector<Way> ways_to_stop(const runtime::Host& host, const runtime::Container& ct) {
  const std::string id = std::to_string(ct.id);
  std::vector<Way> ways = {{"suspended", {"suspend", id}, kSuspendTime},
                           {"stopped", {"stop", id}, runtime::stop_timeout(host, ct) + kBeyondStopTimeout},
                           {"killed", {"stop", id, "--fast"}, kKillTime, true},
                           {"killed", {"--skiplock", "stop", id, "--fast"}, kKillTime, true}};
  if (ct.spec.autostop.value_or(host.conf.stop_mode) == config::StopMode::stop) ways.erase(ways.begin());
  return ways;
}

int stop_one(const runtime::Host& host, const runtime::Container& ct, Clock::time_point deadline) {
  log::settings().ctid = ct.id;
  const std::vector<Way> ways = ways_to_stop(host, ct);
  bool locked = false;
  for (const Way& way : ways) {
    if (!state::running(host.paths, ct.id)) break;
    const milliseconds left = sys::time_left(deadline), limit = way.kills ? way.limit : std::min(way.limit, left);
    if (limit.count() == 0 || (locked && &way != &ways.back())) continue;
    const auto e = vzctl_when_free(way.words, limit, std::min(left, kLockTime));
    if (!e && e.error().code == Code::cancelled) return kBrokenOff;
    if (e && e->status == 0) {
      log::info("{}", way.done);
      return 0;
    }
    log::error("Error: not {}: {}", way.done, e ? reason(*e) : e.error().text);
    locked = e && e->status == exit_code(Code::locked);
  }
  return state::running(host.paths, ct.id) ? kFailed : 0;
}

// ---- moves that were broken off ------------------------------------------------------------------------------------

std::vector<config::CtId> with_records(const runtime::Host& host) {
  std::vector<config::CtId> ids;
  for (const state::Move& m : state::moves(host.paths, 0)) ids.push_back(m.id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

// Asks the other host, where only that one knows.
Result<void> settle(const runtime::Host& host, config::CtId id) {
  TRY_AS(const Ending e, command({"vzmigrate", "--recover", std::to_string(id)}, kSettleTime));
  if (e.status != 0) return fail(Code::connect_failed, "{}", reason(e));
  if (!state::moves(host.paths, id).empty()) return fail(Code::connect_failed, "the other host is not told yet");
  log::info("a move was broken off: settled");
  return {};
}

int settle_one(const runtime::Host& host, config::CtId id) {
  log::settings().ctid = id;
  const auto settled = settle(host, id);
  if (settled) return 0;
  if (settled.error().code == Code::cancelled) return kBrokenOff;
  log::warn("a move was broken off: {}", settled.error().text);
  return kFailed;
}

// ---- all of them ---------------------------------------------------------------------------------------------------

struct Known {
  std::vector<runtime::Container> cts;
  std::vector<runtime::AtBoot> at_boot;
  const runtime::Container& find(config::CtId id) const {
    return *std::find_if(cts.begin(), cts.end(), [&](const runtime::Container& ct) { return ct.id == id; });
  }
};

Result<Known> containers(const runtime::Host& host) {
  const std::vector<config::CtId> marked = state::marked(host.paths);
  TRY_AS(const auto ids, state::all(host.paths));
  Known known;
  for (const config::CtId id : ids) {
    auto ct = runtime::load_container(host, id);
    if (!ct) {
      log::error("Error: CT {}: {}", id, ct.error().text);
      continue;
    }
    known.at_boot.push_back({.id = id,
                             .onboot = ct->spec.onboot,
                             .order = ct->spec.bootorder,
                             .disabled = ct->spec.disabled.value_or(false),
                             .marked = std::binary_search(marked.begin(), marked.end(), id),
                             .running = state::running(host.paths, id).has_value()});
    known.cts.push_back(std::move(*ct));
  }
  return known;
}

void start_if_wanted(const runtime::Host& host, config::CtId id) {
  const auto known = containers(host);
  if (!known) return;
  for (const auto& batch : runtime::start_batches(known->at_boot))
    if (std::find(batch.begin(), batch.end(), id) != batch.end()) (void)start_one(host, id);
}

// Hosts that boot together do not answer each other at first. A process of its own, until all are settled: nobody waits
// for it.
Result<void> settle_later(const runtime::Host& host, std::vector<config::CtId> ids) {
  TRY_AS(const sys::Forked child, sys::fork_process());
  if (child.pid > 0) return {};
  ::setsid();
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) ::signal(s, SIG_DFL);
  const sys::UniqueFd null(::open("/dev/null", O_RDWR));
  for (int fd = 0; fd < 3; ++fd) ::dup2(null.get(), fd);
  for (auto pause = 5s; !ids.empty(); pause = std::min(2 * pause, 60s)) {
    std::this_thread::sleep_for(pause);
    std::erase_if(ids, [&](config::CtId id) {
      log::settings().ctid = id;
      if (!settle(host, id)) return false;  // told before
      start_if_wanted(host, id);
      return true;
    });
  }
  ::_exit(0);
}

size_t parallel(const runtime::Host& host) {
  constexpr size_t kPerProcessor = 4;
  if (host.conf.parallel) return host.conf.parallel;
  return kPerProcessor * std::max(1u, std::thread::hardware_concurrency());
}

Result<std::vector<Outcome>> carry_out(const runtime::Host& host, const Batches& batches,
                                       const std::function<int(config::CtId)>& work) {
  log::settings().name_ct = true;
  auto outcomes = for_each(batches, parallel(host), work);
  log::settings().name_ct = false;
  return outcomes;
}

bool was_broken_off(const std::vector<Outcome>& outcomes) {
  return std::any_of(outcomes.begin(), outcomes.end(),
                     [](const Outcome& o) { return o.status == kNotBegun || o.status == kBrokenOff; });
}

int report(const char* what, const std::vector<Outcome>& outcomes) {
  std::string failed;
  for (const Outcome& o : outcomes)
    if (o.status != 0) failed += fmt::format(" {}", o.id);
  if (failed.empty()) return 0;
  log::error("Error: not {}{}:{}", what, was_broken_off(outcomes) ? " (broken off)" : "", failed);
  return kFailed;
}

Result<int> start(const runtime::Host& host, const Parsed&) {
  TRY_AS(const auto settled,
         carry_out(host, {with_records(host)}, [&](config::CtId id) { return settle_one(host, id); }));
  const std::vector<config::CtId> unsettled = with_records(host);
  TRY_AS(Known known, containers(host));
  std::erase_if(known.at_boot, [&](const runtime::AtBoot& ct) {
    return std::binary_search(unsettled.begin(), unsettled.end(), ct.id);
  });
  const Batches batches = runtime::start_batches(known.at_boot);
  // A mark that nobody acts on now must not be acted on at a later boot.
  for (const config::CtId id : state::marked(host.paths)) {
    const bool waits = std::binary_search(unsettled.begin(), unsettled.end(), id) ||
                       std::any_of(batches.begin(), batches.end(),
                                   [&](const auto& b) { return std::find(b.begin(), b.end(), id) != b.end(); });
    if (!waits) TRY(state::unmark(host.paths, id));
  }
  if (!unsettled.empty() && !was_broken_off(settled)) TRY(settle_later(host, unsettled));
  TRY_AS(const auto outcomes, carry_out(host, batches, [&](config::CtId id) { return start_one(host, id); }));
  return report("started", outcomes);
}

Result<std::chrono::seconds> time_to_stop(const Parsed& p) {
  const auto text = p.value("within");
  if (!text) return std::chrono::seconds(kWithin);
  const auto n = parse_u64(*text);
  if (!n || *n > 86400) return fail(Code::usage, "--within takes seconds, not '{}'", printable(*text));
  return std::chrono::seconds(*n);
}

Result<int> stop(const runtime::Host& host, const Parsed& p) {
  TRY_AS(const std::chrono::seconds within, time_to_stop(p));
  const auto deadline = Clock::now() + within;
  TRY_AS(const Known known, containers(host));
  const Batches batches = runtime::stop_batches(known.at_boot);
  // All of them before the first stops: whatever breaks us off, what ran is known.
  for (const auto& batch : batches)
    for (const config::CtId id : batch)
      if (auto marked = state::mark(host.paths, id); !marked) log::warn("CT {}: {}", id, marked.error().text);
  const auto work = [&](config::CtId id) {
    // Half of the time left: one that hangs must not cost those of the next batches their orderly end.
    const bool last = std::find(batches.back().begin(), batches.back().end(), id) != batches.back().end();
    return stop_one(host, known.find(id), last ? deadline : Clock::now() + sys::time_left(deadline) / 2);
  };
  TRY_AS(const auto outcomes, carry_out(host, batches, work));
  if (was_broken_off(outcomes)) {
    for (const Outcome& o : outcomes)
      if (state::running(host.paths, o.id)) TRY(state::unmark(host.paths, o.id));
  }
  return report("stopped", outcomes);
}

constexpr std::pair<std::string_view, Result<int> (*)(const runtime::Host&, const Parsed&)> kCommands[] = {
    {"start", start}, {"stop", stop}};

Result<int> run(const std::vector<std::string>& args) {
  TRY_AS(const Parsed p, parse_options(args, kOptions));
  if (p.has("help")) {
    std::fputs(kUsage, stdout);
    return 0;
  }
  if (p.has("version")) {
    std::puts("vz-boot version " VESSEL_VERSION);
    return 0;
  }
  const std::string word = p.rest.size() == 1 ? p.rest[0] : "";
  const auto command =
      std::find_if(std::begin(kCommands), std::end(kCommands), [&](auto& c) { return c.first == word; });
  if (command == std::end(kCommands)) return fail(Code::usage, "start or stop is due (see vz-boot --help)");
  TRY_AS(const runtime::Host host, runtime::load_host());
  log::settings().program = "vz-boot";
  log::settings().file = host.conf.logging ? host.conf.logfile : "";
  log::settings().file_level = host.conf.log_level;
  if (!host.conf.start_at_boot) {
    log::info("{} has VIRTUOZZO=no: nothing is done", host.paths.global_conf);
    return 0;
  }
  sys::catch_cancel_signals();
  return command->second(host, p);
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto status = vz::cli::run({argv + 1, argv + argc});
  if (status) return *status;
  vz::log::error("Error: {}", status.error().text);
  return vz::cli::exit_code(status.error().code);
}
