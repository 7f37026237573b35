#include <algorithm>

#include "base/log.h"
#include "checkpoint/checkpoint.h"
#include "cli/command.h"

namespace vz::cli {

namespace {

constexpr Option kSuspendOptions[] = {{"suspend"},     {"resume"},        {"kill"},
                                      {"flags", true}, {"context", true}, {"skip_arpdetect"}};
constexpr Option kResumeOptions[] = {
    {"flags", true}, {"context", true}, {"skip_arpdetect"}, {"skip-remount"}, {"skip-fsck"}};
constexpr std::string_view kSubCommands[] = {"suspend", "resume", "kill"};

Result<int> run_suspend(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, kSuspendOptions));
  if (std::count_if(std::begin(kSubCommands), std::end(kSubCommands), [&](auto s) { return p.has(s); }) > 1)
    return fail(Code::usage, "Invalid syntax: only one sub command may be used");
  TRY_AS(runtime::Container ct, container(ctx));
  if (p.has("suspend"))
    TRY(checkpoint::freeze(ctx.host, ct));
  else if (p.has("resume"))
    TRY(checkpoint::thaw(ctx.host, ct));
  else if (p.has("kill"))
    TRY(checkpoint::kill_frozen(ctx.host, ct));
  else
    TRY(checkpoint::suspend(ctx.host, ct));
  return 0;
}

Result<int> run_resume(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, kResumeOptions));
  TRY_AS(runtime::Container ct, container(ctx));
  TRY(checkpoint::resume(ctx.host, ct));
  return 0;
}

}  // namespace

constinit const Command kSuspend = {.name = "suspend",
                                    .alias = "chkpnt",
                                    .args = "[--suspend | --resume | --kill]",
                                    .summary = "save its running state to disk and stop it",
                                    .lock_status = "suspending",
                                    .run = run_suspend};
constinit const Command kResume = {.name = "resume",
                                   .alias = "restore",
                                   .summary = "continue from the saved state",
                                   .lock_status = "restoring",
                                   .run = run_resume};

}  // namespace vz::cli
