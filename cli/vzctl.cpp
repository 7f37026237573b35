// vzctl: one command line, one operation on one container.
#include <fmt/core.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "base/strings.h"
#include "cli/command.h"
#include "cli/exit_codes.h"
#include "cli/pager.h"
#include "cli/tool.h"
#include "config/config.h"
#include "migrate/recover.h"
#include "runtime/cleanup.h"
#include "sys/cancel.h"
#include "sys/files.h"

namespace vz::cli {

namespace {

constexpr const Command* kCommands[] = {&kCreate,    &kStart,    &kStop,      &kRestart, &kDestroy, &kMount,
                                        &kUmount,    &kSet,      &kStatus,    &kExec,    &kExec2,   &kExec3,
                                        &kRunscript, &kEnter,    &kConsole,   &kSuspend, &kResume,  &kMigratable,
                                        &kQuotaon,   &kQuotaoff, &kQuotainit, &kConvert, &kCompact};

std::string usage() {
  std::string out = "vzctl version " VESSEL_VERSION
                    "\nUsage: vzctl [--verbose | --quiet] [--skiplock] COMMAND CTID|NAME [OPTION...]\n\n";
  for (const Command* c : kCommands) out += fmt::format("  {:<10} {:<37} {}\n", c->name, c->args, c->summary);
  out += "\n  --version   print the version\n\nvzctl COMMAND --help has its options, vzctl(8) tells all.\n";
  return out;
}

std::string usage(const Command& c) {
  std::string out = fmt::format("Usage: vzctl {} CTID {}\n{}\n{}", c.name, c.args, c.summary, c.options);
  if (!c.takes_parameters) return out;
  constexpr std::string_view kWhen[] = {"", " (at the next start)", " (with --save)"};  // by config::Live
  out += "\nParameters, see ctid.conf(5):\n";
  std::string without_effect, line = " ";
  for (const config::Param& p : config::table()) {
    if (!p.no_effect.empty() && !p.option.empty()) {
      if (line.size() + p.option.size() > 76) without_effect += std::exchange(line, " ") + "\n";
      line += fmt::format(" --{}", p.option);
    }
    if (p.no_effect.empty() && !p.option.empty())
      out += fmt::format("  --{:<34} {}{}\n", fmt::format("{} {}", p.option, p.arg), p.help,
                         c.name == kSet.name ? kWhen[static_cast<size_t>(p.live)] : "");
  }
  out += fmt::format("\nKept for other hosts, without effect on this one:\n{}{}\n", without_effect, line);
  return out;
}

struct Flags {
  bool skip_lock = false, quiet = false;
  int verbose = 0;
  size_t next = 1;  // index of the command word
};

// Flags stand before the command.
Result<Flags> parse_flags(std::span<char* const> argv) {
  Flags f;
  for (; f.next < argv.size() && argv[f.next][0] == '-'; ++f.next) {
    const std::string_view word = argv[f.next];
    if (word == "--verbose")
      ++f.verbose;
    else if (word == "--quiet")
      f.quiet = true;
    else if (word == "--skiplock")
      f.skip_lock = true;
    else if (word == "--version" || word == "--help")
      return f;
    else
      return fail(Code::usage, "Bad flag: {} (see vzctl --help)", printable(word));
  }
  return f;
}

const Command* find(std::string_view word) {
  if (word == kEnded.name) return &kEnded;
  const auto it = std::find_if(std::begin(kCommands), std::end(kCommands), [&](const Command* c) {
    return c->name == word || (!c->alias.empty() && c->alias == word);
  });
  return it == std::end(kCommands) ? nullptr : *it;
}

void set_up_log(const runtime::Host& host, const Flags& flags, config::CtId id) {
  log::Settings& s = log::settings();
  s.ctid = id;
  s.verbosity = flags.verbose ? flags.verbose : host.conf.verbose;
  s.quiet = flags.quiet;
  s.file = host.conf.logging ? host.conf.logfile : "";
  s.file_level = host.conf.log_level;
}

Result<int> run_locked(const Command& command, Context& ctx) {
  if (command.needs_config) {
    if (auto ct = runtime::load_container(ctx.host, ctx.id); !ct) return std::move(ct).error();
  }
  if (command.lock_status.empty() || ctx.skip_lock) return command.run(ctx);
  sys::catch_cancel_signals();
  TRY_AS(state::Lock lock, state::Lock::take(ctx.host.conf.lockdir, ctx.id, command.lock_status));
  TRY(migrate::recover(ctx.host, ctx.id), "a move was broken off");
  if (command.needs_config && !sys::exists(ctx.host.paths.conf(ctx.id)))
    return fail(Code::no_ct_config, "Container has moved to another host");
  return command.run(ctx);
}

bool is_free(const runtime::Host& host, config::CtId id) {
  if (sys::exists(host.paths.conf(id)) || !state::sharing_ids(host.paths, id).empty()) return false;
  const auto ct = runtime::make_container(host, id, config::File{});
  return ct && !storage::area_exists(ct->area.private_dir);
}

// "create" without a CTID: the lowest that is free and not reserved by convention. Its lock keeps others from it who
// look for one at the same time.
Result<int> create_next(Context& ctx) {
  constexpr config::CtId kFirst = 101;
  sys::catch_cancel_signals();
  for (ctx.id = kFirst; ctx.id <= config::kMaxCtId; ++ctx.id) {
    if (!is_free(ctx.host, ctx.id)) continue;
    const auto lock = state::Lock::take(ctx.host.conf.lockdir, ctx.id, kCreate.lock_status, true);
    if (!lock && lock.error().code == Code::locked) continue;
    if (!lock) return lock.error();
    if (!is_free(ctx.host, ctx.id)) continue;
    log::settings().ctid = ctx.id;
    TRY(kCreate.run(ctx));
    fmt::print("{}\n", ctx.id);
    return 0;
  }
  return fail(Code::invalid, "No CTID is free");
}

Result<int> run(std::span<char* const> argv) {
  if (argv.size() < 2) {
    std::fputs(usage().c_str(), stderr);
    return 20;
  }
  TRY_AS(Flags flags, parse_flags(argv));
  if (flags.next >= argv.size()) return fail(Code::usage, "No command given (see vzctl --help)");
  const std::string_view word = argv[flags.next];
  if (word == "--version") {
    std::puts("vzctl version " VESSEL_VERSION);
    return 0;
  }
  if (word == "--help") {
    show(usage());
    return 0;
  }
  const Command* command = find(word);
  if (!command) return fail(Code::usage, "Bad command: {}", printable(word));
  const auto asks_at = [&](size_t at) { return at < argv.size() && std::string_view(argv[at]) == "--help"; };
  if (asks_at(flags.next + 1) || (asks_at(flags.next + 2) && !command->takes_words)) {
    show(usage(*command));
    return 0;
  }
  if (flags.next + 1 >= argv.size()) return fail(Code::invalid, "CT ID missing");
  TRY(need_root());
  const std::string_view who = argv[flags.next + 1];
  Context ctx;
  TRY_AS(ctx.host, runtime::load_host());
  set_up_log(ctx.host, flags, 0);
  ctx.args.assign(argv.begin() + static_cast<ptrdiff_t>(flags.next) + 2, argv.end());
  if (command == &kCreate && who.starts_with("--")) {
    ctx.args.insert(ctx.args.begin(), std::string(who));
    return create_next(ctx);
  }
  if (who == "0" && command == &kSet)
    return fail(Code::unsupported, "The host itself (CT0) has no limits of Vessel's: use those of its systemd");
  if (who == "0") return fail(Code::invalid, "Only set actions are allowed for CT0");
  TRY_AS(ctx.id, state::resolve(ctx.host.paths, who));
  log::settings().ctid = ctx.id;
  ctx.skip_lock = flags.skip_lock;
  return run_locked(*command, ctx);
}

}  // namespace

std::span<const Command* const> commands() { return kCommands; }

Result<runtime::Container> container(const Context& ctx) { return runtime::load_container(ctx.host, ctx.id); }

}  // namespace vz::cli

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto status = vz::cli::run({argv, static_cast<size_t>(argc)});
  if (status) return *status;
  if (!status.error().text.empty()) vz::log::error("{}", status.error().text);
  return vz::cli::exit_code(status.error().code);
}
