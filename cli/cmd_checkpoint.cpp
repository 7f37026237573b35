#include "base/log.h"
#include "checkpoint/checkpoint.h"
#include "cli/command.h"
#include "runtime/stop.h"

namespace vz::cli {

namespace {

constexpr Option kSuspendOptions[] = {{"suspend"}, {"resume"}, {"kill"}};

Result<int> run_suspend(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, kSuspendOptions));
  if (p.items.size() > 1) return fail(Code::usage, "Invalid syntax: only one sub command may be used");
  TRY_AS(runtime::Container ct, container(ctx));
  if (p.has("suspend"))
    TRY(checkpoint::freeze(ctx.host, ct));
  else if (p.has("resume"))
    TRY(checkpoint::thaw(ctx.host, ct));
  else if (p.has("kill"))
    TRY(runtime::stop(ctx.host, ct, {.fast = true}));
  else
    TRY(checkpoint::suspend(ctx.host, ct));
  return 0;
}

Result<int> run_resume(Context& ctx) {
  TRY_AS(Parsed p, parse_only_options(ctx.args, {}));
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
