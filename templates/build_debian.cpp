#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/mounts.h"
#include "sys/process.h"
#include "templates/apt_sources.h"
#include "templates/build.h"
#include "templates/cache.h"

namespace vz::templates {

namespace {

constexpr const char* kAptDir = "/etc/apt";
constexpr const char* kKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
constexpr auto kStep = std::chrono::milliseconds(200);
constexpr auto kTimeout = std::chrono::hours(1);
// What the administrator of a server expects to find; no more.
constexpr const char* kPackages =
    "systemd,systemd-sysv,libpam-systemd,dbus,openssh-server,iproute2,ifupdown,nftables,cron,procps,netbase,tzdata,"
    "ca-certificates,less,vim-tiny,iputils-ping,logrotate,rsyslog";

constexpr std::string_view kInterfaces = R"(# Interfaces of this container, see interfaces(5).
source /etc/network/interfaces.d/*

auto lo
iface lo inet loopback
)";
constexpr std::string_view kLocale = "LANG=C.UTF-8\n";
// What belongs to one machine: names and addresses of this one, keys that every container must make for itself, and the
// apt settings of the build.
constexpr const char* kCleanHook =
    R"(cd "$1" && rm -f etc/ssh/ssh_host_*_key* etc/resolv.conf etc/hostname etc/apt/sources.list etc/apt/apt.conf.d/99mmdebstrap)";
// Settings without which apt refuses a mirror that is frozen at some date.
constexpr const char* kFreshness[] = {"Acquire::Check-Valid-Until", "Acquire::Check-Date"};
// A mirror that does not answer is found out within a minute or two.
constexpr const char* kImpatience[] = {R"(Acquire::http::Timeout "10")", R"(Acquire::https::Timeout "10")",
                                       R"(Acquire::Retries "1")"};

struct Source {
  std::string uri;
  std::vector<std::string> suites;
};

// The directory a build works in, in the cache because that is where there is room; what a killed build left is
// removed.
struct Workshop {
  std::string path;
  sys::UniqueFd lock;
};

Result<Workshop> open_workshop(const BuildOptions& options, Rollback& undo) {
  TRY(sys::make_dirs(options.cache_dir));
  const std::string lock_path = fmt::format("{}/.{}.build.lock", options.cache_dir, options.name);
  Workshop w{fmt::format("{}/.{}.build", options.cache_dir, options.name), sys::UniqueFd()};
  TRY_AS(w.lock, open_locked(lock_path));
  undo.add("remove " + lock_path, [lock_path] { return sys::remove_file(lock_path); });
  TRY(sys::remove_tree(w.path));
  undo.add("remove " + w.path, [path = w.path] { return sys::remove_tree(path); });
  TRY(sys::make_dirs(w.path));
  return w;
}

bool plain(std::string_view text, std::string_view extra) {
  const auto ok = [extra](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  };
  return !text.empty() && text.front() != '-' && std::all_of(text.begin(), text.end(), ok);
}

Result<void> check_options(const BuildOptions& options) {
  for (const std::string& package : options.packages)
    if (!plain(package, "+-.:=~")) return fail(Code::usage, "'{}' is no name of a package", printable(package));
  if (!options.mirror.empty() && !plain(options.mirror, "+-._~:/@%?=&,"))
    return fail(Code::usage, "'{}' is no address of a mirror", printable(options.mirror));
  if (!sys::exists(kKeyring))
    return fail(Code::unsupported, "'{}' is missing; install debian-archive-keyring", kKeyring);
  return {};
}

Result<std::vector<Source>> choose_sources(std::string_view suite, const BuildOptions& options) {
  Mirror mirror{options.mirror, "", true};
  if (options.mirror.empty()) {
    TRY_AS(mirror, find_mirror(kAptDir));
  }
  std::vector<Source> out = {{mirror.main, {std::string(suite)}}};
  if (mirror.updates) out[0].suites.push_back(fmt::format("{}-updates", suite));
  if (!mirror.security.empty()) out.push_back({mirror.security, {fmt::format("{}-security", suite)}});
  return out;
}

std::string deb822(const std::vector<Source>& sources) {
  std::string out;
  for (const Source& s : sources)
    out += fmt::format("{}Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: {}\n", out.empty() ? "" : "\n",
                       s.uri, join(s.suites, " "), kKeyring);
  return out;
}

// This machine's choice, as a line of apt.conf; empty when it is apt's default.
std::vector<std::string> freshness_settings() {
  std::vector<std::string> out;
  for (const char* key : kFreshness) {
    sys::Program ask;
    ask.argv = {"apt-config", "dump", "--format", "%v", key};
    const auto value = sys::run_ok(ask);
    if (value && trim(*value) == "false") out.push_back(fmt::format("{} \"false\"", key));
  }
  return out;
}

Result<void> add_file(std::vector<std::string>& argv, const std::string& dir, const std::string& target,
                      std::string_view text) {
  const std::string file = dir + "/" + sys::base_name(target);
  TRY(sys::replace_file(file, text));
  argv.push_back(fmt::format("--customize-hook=upload {} {}", shell_quote(file), shell_quote(target)));
  return {};
}

Result<std::vector<std::string>> command_line(std::string_view suite, const BuildOptions& options,
                                              const std::string& dir) {
  TRY_AS(const std::vector<Source> sources, choose_sources(suite, options));
  log::detail("Taking packages from {}", sources[0].uri);
  std::vector<std::string> argv = {"mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar"};
  argv.push_back(
      fmt::format("--include={}{}{}", kPackages, options.packages.empty() ? "" : ",", join(options.packages, ",")));
  std::string settings;
  for (const std::string& line : freshness_settings()) {
    argv.push_back("--aptopt=" + line);
    settings += line + ";\n";
  }
  for (const char* line : kImpatience) argv.push_back(fmt::format("--aptopt={}", line));
  argv.push_back(fmt::format("--customize-hook={}", kCleanHook));
  TRY(add_file(argv, dir, "/etc/apt/sources.list.d/debian.sources", deb822(sources)));
  TRY(add_file(argv, dir, "/etc/network/interfaces", kInterfaces));
  TRY(add_file(argv, dir, "/etc/default/locale", kLocale));
  if (!settings.empty()) TRY(add_file(argv, dir, "/etc/apt/apt.conf.d/90mirror", settings));
  argv.emplace_back(suite);
  argv.push_back(dir + "/tree.tar");
  for (const Source& s : sources)
    for (const std::string& one : s.suites)
      argv.push_back(fmt::format("deb [signed-by={}] {} {} main", kKeyring, s.uri, one));
  return argv;
}

// PID and mount namespaces of its own: when the program is killed, its packages' scripts and its mounts go with it.
Result<void> enter_own_mounts() {
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return fail_sys(errno, "death signal");
  TRY(sys::make_private("/"));
  return sys::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC);
}

// Lines that were not shown yet; a last one without an end waits.
void show_lines(const std::string& log_file, size_t& shown) {
  const auto text = sys::read_file(log_file);
  if (!text) return;
  for (size_t end; (end = text->find('\n', shown)) != std::string::npos; shown = end + 1)
    log::detail("{}", printable(std::string_view(*text).substr(shown, end - shown)));
}

// mmdebstrap ends with its own summary; the cause stands in apt's first complaint, "E: TEXT" or "Err:N URI" and its
// reason on the next line.
std::string first_complaint(const std::string& log_file) {
  const std::string text = sys::read_file(log_file).value_or("");
  std::string_view fetch, last;
  for (const std::string_view line : split(text, '\n')) {
    if (!fetch.empty()) return printable(fmt::format("{}: {}", fetch.substr(fetch.find(' ') + 1), trim(line)));
    if (line.starts_with("E: ")) return printable(line.substr(3));
    if (line.starts_with("Err:")) fetch = line;
    if (!trim(line).empty()) last = line;
  }
  return printable(last);
}

Result<void> run_watched(const sys::Program& program, const std::string& log_file) {
  auto started = sys::start(program);
  if (!started && started.error().sys_errno == ENOENT)
    return fail(Code::unsupported, "mmdebstrap is not installed; install the package mmdebstrap");
  TRY_AS(const sys::Forked child, std::move(started));
  Rollback undo;
  undo.add("stop mmdebstrap", [pid = child.pid, fd = child.pidfd.get()]() -> Result<void> {
    TRY(sys::send_signal(fd, SIGKILL));
    TRY(sys::wait_child(pid));
    return {};
  });
  const auto deadline = std::chrono::steady_clock::now() + kTimeout;
  size_t shown = 0;
  for (bool ended = false; !ended;) {
    TRY(sys::check_cancelled());
    TRY_AS(ended, sys::wait_ended(child.pidfd.get(), kStep));
    show_lines(log_file, shown);
    if (std::chrono::steady_clock::now() > deadline)
      return fail(Code::timeout, "mmdebstrap did not end within an hour");
  }
  undo.commit();
  TRY_AS(const sys::ExitStatus status, sys::wait_child(child.pid));
  if (status.ok()) return {};
  return fail(Code::system, "mmdebstrap failed ({}): {}", status.text(), first_complaint(log_file));
}

Result<void> bootstrap(std::string_view suite, const BuildOptions& options, const std::string& dir) {
  sys::Program program;
  TRY_AS(program.argv, command_line(suite, options, dir));
  const std::string log_file = dir + "/log";
  TRY_AS(const sys::UniqueFd log, sys::open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0600));
  program.env = {"TMPDIR=" + dir, "LC_ALL=C.UTF-8"};
  program.stdout_fd = log.get();
  program.stderr_fd = log.get();
  program.namespaces = CLONE_NEWPID | CLONE_NEWNS;
  program.before_exec = enter_own_mounts;
  return run_watched(program, log_file);
}

}  // namespace

Result<Template> build_debian(std::string_view suite, const BuildOptions& options) {
  TRY(check_options(options));
  Rollback undo;  // removes the workshop on success as well
  TRY_AS(const Workshop shop, open_workshop(options, undo));
  TRY(bootstrap(suite, options, shop.path));
  TRY_AS(const sys::UniqueFd tar, sys::open(shop.path + "/tree.tar", O_RDONLY));
  log::detail("Packing");
  return import_fd(options.cache_dir, tar.get(), options.name, options.progress);
}

}  // namespace vz::templates
