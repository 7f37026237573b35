#include <fmt/core.h>

#include <algorithm>

#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "cli/command.h"
#include "cli/lifecycle.h"
#include "runtime/cleanup.h"
#include "runtime/restart.h"
#include "runtime/status.h"
#include "state/moves.h"
#include "sys/files.h"

namespace vz::cli {

namespace {

constexpr Option kStartOptions[] = {{"force"}, {"wait"}, {"skip-fsck"}, {"skip-remount"}, {"skip_ve_setup"}};
constexpr Option kStopOptions[] = {{"fast"}, {"skip-umount"}};
constexpr Option kRestartOptions[] = {{"force"},         {"wait"}, {"skip-fsck"},  {"skip-remount"},
                                      {"skip_ve_setup"}, {"fast"}, {"skip-umount"}};

constexpr Option kStatusOptions[] = {{"json", false, 'j'}};

runtime::StartOptions start_options(const Parsed& p) {
  return {.force = p.has("force"), .wait = p.has("wait"), .set_up = !p.has("skip_ve_setup")};
}
runtime::StopOptions stop_options(const Parsed& p) {
  return {.fast = p.has("fast"), .skip_umount = p.has("skip-umount")};
}

// What failed, then vzctl's word for it, where it was about to run.
Result<void> boot(const Context& ctx, const runtime::Container& ct, const runtime::StartOptions& options) {
  constexpr Code kOfTheStart[] = {Code::start_failed, Code::bad_template,  Code::cgroup_failed, Code::cpu_failed,
                                  Code::io_failed,    Code::device_failed, Code::network_failed};
  auto started = runtime::start(ctx.host, ct, options);
  if (started) return started;
  const Code code = started.error().code;
  if (std::find(std::begin(kOfTheStart), std::end(kOfTheStart), code) == std::end(kOfTheStart)) return started;
  log::error("{}", started.error().text);
  return fail(code, "Container start failed (try to check kernel messages, e.g. \"dmesg | tail\")");
}

// A dump waits for this CT: continue there; when that fails, boot.
Result<void> start_or_resume(const Context& ctx, const runtime::Container& ct, const runtime::StartOptions& options) {
  if (!runtime::status_of(ctx.host, ct).suspended) return boot(ctx, ct, options);
  log::info("Dump file {} exists, trying to restore from it", ct.dump_dir(ctx.host));
  auto resumed = checkpoint::resume(ctx.host, ct);
  if (resumed) return {};
  log::error("{}", resumed.error().text);
  TRY(boot(ctx, ct, options));
  return sys::remove_tree(ct.dump_dir(ctx.host));
}

Result<int> run_start(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, kStartOptions));
  TRY_AS(runtime::Container ct, container(ctx));
  TRY(start_or_resume(ctx, ct, start_options(p)));
  return 0;
}

Result<int> run_stop(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, kStopOptions));
  TRY_AS(runtime::Container ct, container(ctx));
  auto stopped = runtime::stop(ctx.host, ct, stop_options(p));
  if (!stopped && stopped.error().code == Code::not_running) {
    log::error("{}", stopped.error().text);
    return 0;  // scripts rely on it
  }
  TRY(stopped);
  return 0;
}

Result<int> run_restart(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, kRestartOptions));
  TRY_AS(runtime::Container ct, container(ctx));
  TRY(restart(ctx, ct, stop_options(p), start_options(p)));
  return 0;
}

Result<int> run_destroy(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, {}));
  TRY_AS(runtime::Container ct, container(ctx));
  TRY(runtime::destroy(ctx.host, ct));
  return 0;
}

Result<int> run_mount(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, {}));
  TRY_AS(runtime::Container ct, container(ctx));
  auto mounted = runtime::mount(ctx.host, ct);
  if (!mounted && mounted.error().code == Code::mounted && storage::is_mounted(ct.area)) {
    log::error("{}", mounted.error().text);
    return 0;
  }
  TRY(mounted);
  return 0;
}

Result<int> run_umount(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, {}));
  TRY_AS(runtime::Container ct, container(ctx));
  TRY(runtime::umount(ctx.host, ct));
  return 0;
}

// Behind the words that scripts count on. "released" is over, but for the source's having heard of it.
std::vector<std::string> words_on_moves(const Context& ctx) {
  std::vector<std::string> out;
  for (const state::Move& m : state::moves(ctx.host.paths, ctx.id))
    if (m.state != state::MoveState::released)
      out.emplace_back(m.state == state::MoveState::handed ? "in-doubt"
                       : state::in_progress(m)             ? "moving"
                                                           : "broken-off");
  return out;
}

Result<int> run_status(Context& ctx) {
  TRY_AS(const Parsed p, parse_only_options(ctx.args, kStatusOptions));
  const auto ct = container(ctx);
  const runtime::Status s = ct ? runtime::status_of(ctx.host, *ct) : runtime::Status{};
  const std::vector<std::string> moves = words_on_moves(ctx);
  if (p.has("json")) {
    const Json out = {{"ctid", ctx.id},       {"exist", s.exists},        {"mounted", s.mounted},
                      {"running", s.running}, {"suspended", s.suspended}, {"moves", moves}};
    fmt::print("{}\n", pretty_json(out));
    return 0;
  }
  fmt::print("CTID {} {} {} {}{}{}{}\n", ctx.id, s.exists ? "exist" : "deleted", s.mounted ? "mounted" : "unmounted",
             s.running ? "running" : "down", s.suspended ? " suspended" : "", moves.empty() ? "" : " ",
             join(moves, " "));
  return 0;
}

// vz-supervisor's last act; not for people.
Result<int> run_ended(Context& ctx) {
  const auto status = ctx.args.size() == 1 ? parse_u64(ctx.args[0]) : std::nullopt;
  if (!status) return fail(Code::usage, "Invalid extra arguments");
  TRY(runtime::container_ended(ctx.host, ctx.id, static_cast<int>(*status)));
  return 0;
}

}  // namespace

Result<void> restart(const Context& ctx, const runtime::Container& ct, const runtime::StopOptions& stop_options,
                     const runtime::StartOptions& start_options) {
  log::info("Restarting container");
  TRY(runtime::stop_for_restart(ctx.host, ct, stop_options, start_options));
  return boot(ctx, ct, start_options);
}

constinit const Command kStart = {.name = "start",
                                  .args = "[--wait] [--force] [--skip_ve_setup]",
                                  .summary = "boot it (or continue where it was suspended)",
                                  .lock_status = "starting",
                                  .run = run_start};
constinit const Command kStop = {.name = "stop",
                                 .args = "[--fast] [--skip-umount]",
                                 .summary = "shut it down (--fast: kill)",
                                 .lock_status = "stopping",
                                 .run = run_stop};
constinit const Command kRestart = {.name = "restart",
                                    .args = "[--wait] [--force] [--fast]",
                                    .summary = "stop, then start",
                                    .lock_status = "restarting",
                                    .run = run_restart};
constinit const Command kDestroy = {.name = "destroy",
                                    .alias = "delete",
                                    .summary = "remove it with everything in it",
                                    .lock_status = "destroying",
                                    .run = run_destroy};
constinit const Command kMount = {
    .name = "mount", .summary = "mount its files on VE_ROOT", .lock_status = "mounting", .run = run_mount};
constinit const Command kUmount = {
    .name = "umount", .summary = "unmount them", .lock_status = "unmounting", .run = run_umount};
constinit const Command kStatus = {.name = "status",
                                   .args = "[-j]",
                                   .summary = "one line: exists, mounted, running, suspended",
                                   .needs_config = false,
                                   .run = run_status};
constinit const Command kEnded = {.name = "ct-ended", .args = "WAIT_STATUS", .needs_config = false, .run = run_ended};

}  // namespace vz::cli
