#include "runtime/scripts.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <iterator>

#include "base/log.h"
#include "runtime/exec.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

using sys::UniqueFd;

constexpr std::chrono::hours kScriptTime{1};
constexpr std::chrono::seconds kExternalTime{30};  // a moving container stands still meanwhile
constexpr size_t kScriptSize = 1u << 20;

enum class Whose { all, own, all_first, own_first };
struct ScriptKind {
  Event event;
  std::string_view name;
  Whose whose;
  bool inside = false;
};
// On the way up what holds for all comes first, on the way down last.
constexpr ScriptKind kScripts[] = {
    {Event::premount, "premount", Whose::all_first}, {Event::mount, "mount", Whose::all_first},
    {Event::start, "start", Whose::own, true},       {Event::stop, "stop", Whose::own, true},
    {Event::umount, "umount", Whose::own_first},     {Event::postumount, "postumount", Whose::own_first},
    {Event::create, "create", Whose::all},
};

const ScriptKind& kind_of(Event event) {
  return *std::find_if(std::begin(kScripts), std::end(kScripts),
                       [event](const ScriptKind& k) { return k.event == event; });
}

std::string path_of(const state::Paths& paths, std::string_view whose, const ScriptKind& kind) {
  return fmt::format("{}/{}.{}", paths.conf_dir, whose, kind.name);
}

// Whoever can write it, or a directory on the way to it, would be root. A link leads to a file that is looked at alike.
Result<void> check_trust(const std::string& path) {
  TRY_AS(std::string at, sys::real_path(path));
  for (;;) {
    TRY_AS(const struct ::stat st, sys::stat(at));
    if (const std::string why = distrust(st, at); !why.empty()) return fail(Code::script_failed, "{}", why);
    if (at == "/") return {};
    at = sys::parent_dir(at);
  }
}

Result<void> on_the_host() {
  if (::prctl(PR_SET_PDEATHSIG, SIGTERM) != 0) return fail_sys(errno, "death signal");
  if (::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) != 0) return fail_sys(errno, "close_range");
  if (::chdir("/") != 0) return fail_sys(errno, "chdir");
  ::umask(022);
  return {};
}

// What nobody wants to see: vzctl was told to be quiet, or prints nothing but answers.
Result<UniqueFd> open_output() {
  const log::Settings& s = log::settings();
  if (s.quiet || s.verbosity < 0) return sys::open("/dev/null", O_WRONLY);
  UniqueFd copy{::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)};
  if (!copy) return sys::open("/dev/null", O_WRONLY);
  return copy;
}

Result<void> check_program(const std::string& path) {
  TRY(check_trust(path));
  if (::access(path.c_str(), X_OK) != 0)
    return fail(Code::script_failed, "it is not executable; run: chmod +x {}", path);
  return {};
}

Result<sys::ExitStatus> run_on_host(const Host& host, const Container& ct, std::vector<std::string> argv,
                                    std::chrono::milliseconds timeout) {
  TRY_AS(const UniqueFd out, open_output());
  sys::Program script;
  script.argv = std::move(argv);
  script.env = script_environment(host.paths, ct.id);
  script.only_env = script.own_session = true;
  script.stdout_fd = out.get();
  script.stderr_fd = STDERR_FILENO;
  script.timeout = timeout;
  script.before_exec = on_the_host;
  TRY_AS(const sys::Output done, sys::run(script));
  return done.status;
}

// The guest gets its text, not the file.
Result<UniqueFd> text_of(const std::string& path) {
  TRY_AS(const std::string text, sys::read_file(path, kScriptSize));
  UniqueFd fd{::memfd_create("script", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
  if (!fd) return fail_sys(errno, "memfd_create");
  TRY(sys::write_all(fd.get(), text));
  if (::lseek(fd.get(), 0, SEEK_SET) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
    return fail_sys(errno, "seal the text of '{}'", path);
  return fd;
}

Result<sys::ExitStatus> run_in_ct(const Host& host, const Container& ct, const std::string& path,
                                  const sys::Channel* caller) {
  TRY_AS(const UniqueFd text, text_of(path));
  TRY_AS(const UniqueFd out, open_output());
  ExecOptions options;
  options.argv = {"bash", "-s"};
  options.fallbacks = {{"sh", "-s"}};
  options.stdin_fd = text.get();
  options.stdout_fd = out.get();
  return run_bounded(host, ct, options, kScriptTime, caller);
}

Result<void> check_script(const ScriptKind& kind, const std::string& path) {
  return kind.inside ? check_trust(path) : check_program(path);
}

Result<void> run_script(const Host& host, const Container& ct, const ScriptKind& kind, const std::string& path,
                        const sys::Channel* caller) {
  TRY(check_script(kind, path));
  log::detail("Running {}", path);
  TRY_AS(const sys::ExitStatus status,
         kind.inside ? run_in_ct(host, ct, path, caller) : run_on_host(host, ct, {path}, kScriptTime));
  return status.ok() ? Result<void>() : fail(Code::script_failed, "{}", status.text());
}

Result<void> run_external(const Host& host, const Container& ct, const std::string& device) {
  TRY(check_program(host.external_script));
  log::detail("Running {} init veth {}", host.external_script, device);
  TRY_AS(const sys::ExitStatus status,
         run_on_host(host, ct, {host.external_script, "init", "veth", device}, kExternalTime));
  return status.ok() ? Result<void>() : fail(Code::script_failed, "{}", status.text());
}

Error about(const ScriptKind& kind, const std::string& path, Error error) {
  const Code code = error.code == Code::cancelled ? Code::cancelled : Code::script_failed;
  return std::move(error).context(fmt::format("Error executing {} script {}", kind.name, path)).with_code(code);
}

}  // namespace

std::vector<std::string> script_paths(const state::Paths& paths, config::CtId id, Event event) {
  const ScriptKind& kind = kind_of(event);
  std::vector<std::string> out;
  if (kind.whose != Whose::own) out.push_back(path_of(paths, "vps", kind));
  if (kind.whose != Whose::all) out.push_back(path_of(paths, std::to_string(id), kind));
  if (kind.whose == Whose::own_first) std::reverse(out.begin(), out.end());
  return out;
}

std::vector<std::string> own_scripts(const state::Paths& paths, config::CtId id) {
  std::vector<std::string> out;
  for (const ScriptKind& kind : kScripts)
    if (kind.whose != Whose::all) out.push_back(path_of(paths, std::to_string(id), kind));
  return out;
}

std::vector<std::string> script_environment(const state::Paths& paths, config::CtId id) {
  return {"HOME=/", "TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          fmt::format("VEID={}", id), fmt::format("VE_CONFFILE={}", paths.conf(id))};
}

std::string distrust(const struct ::stat& st, const std::string& path) {
  if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return fmt::format("'{}' is no regular file", path);
  if (st.st_uid != 0) return fmt::format("'{0}' is not owned by root; run: chown root {0}", path);
  if (st.st_mode & (S_IWGRP | S_IWOTH))
    return fmt::format("others than root can write to '{0}'; run: chmod go-w {0}", path);
  return "";
}

bool has_script(const Host& host, config::CtId id, Event event) {
  const auto paths = script_paths(host.paths, id, event);
  return std::any_of(paths.begin(), paths.end(), sys::exists);
}

Result<void> check_scripts(const Host& host, config::CtId id, Event event) {
  const ScriptKind& kind = kind_of(event);
  for (const std::string& path : script_paths(host.paths, id, event)) {
    if (!sys::exists(path)) continue;
    auto fit = check_script(kind, path);
    if (!fit) return about(kind, path, std::move(fit).error());
  }
  return {};
}

Result<void> run_scripts(const Host& host, const Container& ct, Event event, const sys::Channel* caller) {
  const ScriptKind& kind = kind_of(event);
  for (const std::string& path : script_paths(host.paths, ct.id, event)) {
    if (!sys::exists(path)) continue;
    auto ran = run_script(host, ct, kind, path, caller);
    if (!ran) return about(kind, path, std::move(ran).error());
  }
  return {};
}

Result<void> run_external_script(const Host& host, const Container& ct, const net::Veth& veth) {
  const std::string& script = host.external_script;
  if (script.empty()) return {};
  if (::access(script.c_str(), X_OK) != 0) {
    log::warn("{}: EXTERNAL_SCRIPT '{}' is no program, '{}' goes without it", host.paths.vznet_conf, script,
              veth.host_name);
    return {};
  }
  auto ran = run_external(host, ct, veth.host_name);
  if (ran) return {};
  const Code code = ran.error().code == Code::cancelled ? Code::cancelled : Code::network_failed;
  return std::move(ran).error().context(fmt::format("{} init veth {}", script, veth.host_name)).with_code(code);
}

Result<void> put_away_scripts(const Host& host, config::CtId id, std::string_view suffix) {
  for (const std::string& path : own_scripts(host.paths, id))
    if (::rename(path.c_str(), fmt::format("{}{}", path, suffix).c_str()) != 0 && errno != ENOENT)
      return fail_sys(errno, "rename '{}'", path);
  return {};
}

Result<void> remove_put_away(const Host& host, config::CtId id, std::string_view suffix) {
  auto paths = own_scripts(host.paths, id);
  paths.push_back(host.paths.conf(id));
  for (const std::string& path : paths) TRY(sys::remove_file(fmt::format("{}{}", path, suffix)));
  return {};
}

}  // namespace vz::runtime
