#include <fcntl.h>

#include "base/rollback.h"
#include "base/strings.h"
#include "cli/command.h"
#include "runtime/exec.h"
#include "runtime/start.h"
#include "runtime/stop.h"
#include "sys/files.h"

namespace vz::cli {

namespace {

// Words joined by blanks, unquoted, for the guest's shell; a single "-" is a script on standard input.
std::string shell_line(const std::vector<std::string>& args) {
  std::vector<std::string> words_of_line;
  for (const std::string& a : args) words_of_line.push_back(a.empty() ? "''" : a);
  return join(words_of_line, " ");
}

Result<sys::ExitStatus> run_shell(Context& ctx) {
  if (ctx.args.empty()) return fail(Code::usage, "No command line given for exec");
  TRY_AS(runtime::Container ct, container(ctx));
  runtime::ExecOptions options;
  if (ctx.args.size() == 1 && ctx.args[0] == "-") {
    options.argv = {"bash", "-s"};
    options.fallbacks = {{"sh", "-s"}};
  } else {
    const std::string line = shell_line(ctx.args);
    options.argv = {"bash", "-c", line};
    options.fallbacks = {{"sh", "-c", line}};
  }
  return runtime::exec(ctx.host, ct, options);
}

int shell_status(const sys::ExitStatus& s) { return s.signal ? 128 + s.signal : s.code; }

Result<int> run_exec(Context& ctx) {
  auto status = run_shell(ctx);
  if (!status) {
    if (status.error().code == Code::usage) return std::move(status).error();
    return std::move(status).error().with_code(Code::exec_failed);
  }
  return status->ok() ? 0 : 8;
}

Result<int> run_exec2(Context& ctx) {
  TRY_AS(sys::ExitStatus status, run_shell(ctx));
  return shell_status(status);
}

Result<int> run_exec3(Context& ctx) {
  if (ctx.args.empty()) return fail(Code::usage, "No command line given for exec");
  TRY_AS(runtime::Container ct, container(ctx));
  TRY_AS(sys::ExitStatus status, runtime::exec(ctx.host, ct, {.argv = ctx.args, .fallbacks = {}, .env = {}}));
  return shell_status(status);
}

Result<int> run_script(Context& ctx) {
  if (ctx.args.size() != 1) return fail(Code::usage, "Script not specified");
  auto script = sys::open(ctx.args[0], O_RDONLY);
  if (!script) return std::move(script).error().with_code(Code::file_missing);
  TRY_AS(runtime::Container ct, container(ctx));
  Rollback after;
  if (!state::running(ctx.host.paths, ct.id)) {
    const bool mounted = storage::is_mounted(ct.area);
    TRY(runtime::start(ctx.host, ct, {.wait = true, .scripts = false}));
    after.add("stop", [&, mounted] { return runtime::stop(ctx.host, ct, {.skip_umount = mounted, .scripts = false}); });
  }
  runtime::ExecOptions options;
  options.argv = {"bash", "-s"};
  options.fallbacks = {{"sh", "-s"}};
  options.stdin_fd = script->get();
  TRY_AS(sys::ExitStatus status, runtime::exec(ctx.host, ct, options));
  return shell_status(status);
}

Result<int> run_enter(Context& ctx) {
  std::string first;
  if (!ctx.args.empty()) {
    if (ctx.args[0] != "--exec") return fail(Code::usage, "Invalid options: {}", printable(ctx.args[0]));
    if (ctx.args.size() < 2) return fail(Code::usage, "No command line given for --exec");
    first = shell_line({ctx.args.begin() + 1, ctx.args.end()});
  }
  TRY_AS(runtime::Container ct, container(ctx));
  TRY_AS(sys::ExitStatus status, runtime::enter(ctx.host, ct, first));
  return shell_status(status);
}

Result<int> run_console(Context& ctx) {
  TRY_AS(const Parsed p, parse_options(ctx.args, {}));
  if (p.rest.size() > 1) return fail(Code::usage, "Invalid extra arguments: {}", printable(p.rest[1]));
  std::optional<uint64_t> tty = 0;
  if (!p.rest.empty()) tty = parse_u64(p.rest[0]);
  if (!tty || *tty > runtime::kLastTty || (*tty == 0 && !p.rest.empty()))
    return fail(Code::invalid, "Invalid tty number: {}", printable(p.rest[0]));
  TRY_AS(const runtime::Container ct, container(ctx));
  TRY(runtime::console(ctx.host, ct, static_cast<unsigned>(*tty)));
  return 0;
}

}  // namespace

constinit const Command kExec = {.name = "exec",
                                 .args = "COMMAND...",
                                 .summary = "run a shell line in it (any failure: exit status 8)",
                                 .takes_words = true,
                                 .run = run_exec};
constinit const Command kExec2 = {.name = "exec2",
                                  .args = "COMMAND...",
                                  .summary = "the same with the command's own exit status",
                                  .takes_words = true,
                                  .run = run_exec2};
constinit const Command kExec3 = {.name = "exec3",
                                  .args = "PROGRAM [ARGUMENT...]",
                                  .summary = "a program as it is, without a shell",
                                  .takes_words = true,
                                  .run = run_exec3};
constinit const Command kRunscript = {.name = "runscript",
                                      .args = "FILE",
                                      .summary = "run a script of the host's in it (started for that if need be)",
                                      .lock_status = "running a script",
                                      .run = run_script};
constinit const Command kEnter = {
    .name = "enter", .args = "[--exec COMMAND...]", .summary = "a root shell in it", .run = run_enter};
constinit const Command kConsole = {
    .name = "console", .args = "[N]", .summary = "a login prompt of it (ESC . detaches)", .run = run_console};

}  // namespace vz::cli
