#include "checkpoint/criu.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/log.h"
#include "base/strings.h"
#include "sys/cancel.h"
#include "sys/files.h"

namespace vz::checkpoint {

namespace {

using Clock = std::chrono::steady_clock;
using sys::UniqueFd;
using namespace std::chrono_literals;

constexpr auto kGlance = 200ms;  // a signal that came between two waits is seen this late
constexpr auto kGivingUp = 30s;
constexpr const char* kPrivateCopy = "/var/lib/vessel/criu/criu";

// The hook program connects here. An abstract name: no file to leave behind; only root of this network namespace is
// heard.
struct HookSocket {
  UniqueFd fd;
  std::string name;
};

Result<HookSocket> listen_for_hooks() {
  HookSocket s;
  s.name = fmt::format("vessel-hook-{}-{}", ::getpid(), sys::start_time(::getpid()).value_or(0));
  s.fd.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!s.fd) return fail_sys(errno, "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, s.name.data(), s.name.size());
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + s.name.size());
  if (::bind(s.fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(s.fd.get(), 4) != 0)
    return fail_sys(errno, "listen for criu's hooks");
  return s;
}

// One call: "ACTION PID"; the answer is one byte, 0 for go on. Returns the action that was answered so.
Result<std::string> answer(const HookSocket& socket, const Hook& hook) {
  UniqueFd peer{::accept4(socket.fd.get(), nullptr, nullptr, SOCK_CLOEXEC)};
  if (!peer) return std::string();
  ucred who{};
  socklen_t length = sizeof who;
  if (::getsockopt(peer.get(), SOL_SOCKET, SO_PEERCRED, &who, &length) != 0 || who.uid != 0) return std::string();
  char buf[256];
  const ssize_t n = ::recv(peer.get(), buf, sizeof buf, 0);
  if (n <= 0) return std::string();
  const auto parts = words({buf, static_cast<size_t>(n)});
  HookCall call;
  if (!parts.empty()) call.action = parts[0];
  if (parts.size() > 1) call.init = static_cast<pid_t>(parse_u64(parts[1]).value_or(0));
  log::debug("criu: {} {}", call.action, call.init);
  auto result = hook(call);
  const char byte = result ? 0 : 1;
  (void)::send(peer.get(), &byte, 1, MSG_NOSIGNAL);
  TRY(result);
  return call.action;
}

std::vector<std::string> command_line(const std::string& program, const CriuRun& run) {
  std::vector<std::string> argv = {program};
  argv.insert(argv.end(), run.args.begin(), run.args.end());
  for (const std::string& a : {std::string("-D"), run.image_dir, std::string("-o"), run.log_name, std::string("-v2")})
    argv.push_back(a);
  if (run.hook) {
    argv.emplace_back("--action-script");
    argv.push_back(sys::helper_path("vz-criu-hook"));
  }
  return argv;
}

Result<void> prepare(const CriuRun& run) {
  if (run.tree_lives) {
    ::setsid();
    ::signal(SIGXFSZ, SIG_IGN);  // ignored it stays, across exec
  }
  return run.before_exec ? run.before_exec() : Result<void>();
}

// Killed, criu would leave its parasite code in the tree's processes, which die of it sooner or later, and helpers of
// its own that wait for ever. It has no handler for any signal, but one that cannot write its images gives up by
// itself.
void make_fail(const sys::Forked& criu) {
  const rlimit nothing{};
  (void)::prlimit(criu.pid, RLIMIT_FSIZE, &nothing, nullptr);
}

Result<void> say_no(const HookCall&) { return fail(Code::cancelled, "cancelled"); }

}  // namespace

std::string first_error(std::string_view log) {
  for (const std::string_view line : split(log, '\n')) {
    const size_t at = line.find("Error (");
    if (at == std::string_view::npos || line.find("RLIMIT_NOFILE") != std::string_view::npos) continue;
    const size_t text = line.find("): ", at);
    return printable(text == std::string_view::npos ? line.substr(at) : line.substr(text + 3));
  }
  return "";
}

Result<std::string> criu_program(const runtime::Host& host) {
  if (!host.conf.criu.empty()) return host.conf.criu;
  if (::access(kPrivateCopy, X_OK) == 0) return std::string(kPrivateCopy);
  for (const char* path : {"/usr/sbin/criu", "/usr/local/sbin/criu"})
    if (::access(path, X_OK) == 0) return std::string(path);
  return fail(Code::unsupported,
              "criu is not installed: install the package 'criu', or run scripts/setup for a private copy");
}

Result<std::string> criu_version(const std::string& program) {
  TRY_AS(std::string out, sys::run_ok({.argv = {program, "--version"}}));
  for (const std::string_view line : split(out, '\n'))
    if (line.starts_with("Version:")) return std::string(trim(line.substr(8)));
  return fail(Code::unsupported, "'{} --version' says nothing useful", program);
}

Result<void> run_criu(const runtime::Host& host, const CriuRun& run) {
  TRY_AS(std::string program, criu_program(host));
  HookSocket socket;
  sys::Program command{.argv = command_line(program, run), .env = run.env};
  if (run.hook) {
    TRY_AS(socket, listen_for_hooks());
    command.env.push_back("VESSEL_HOOK=" + socket.name);
  }
  const char* path = ::getenv("PATH");
  command.env.push_back(fmt::format("PATH={}:{}", sys::parent_dir(sys::helper_path("criu/tar")),
                                    path ? path : "/usr/sbin:/usr/bin:/sbin:/bin"));
  command.before_exec = [&] { return prepare(run); };
  command.inherit = run.inherit;
  TRY_AS(sys::Forked criu, sys::start(command));
  auto deadline = Clock::now() + run.timeout;
  Result<void> hooks, going_on;
  bool decided = false;
  for (;;) {
    pollfd p[2] = {{criu.pidfd.get(), POLLIN, 0}, {socket.fd.get(), POLLIN, 0}};
    const int n = ::poll(p, 2, static_cast<int>(std::min(sys::time_left(deadline), kGlance).count()));
    if (n > 0 && p[1].revents) {
      const auto told = answer(socket, going_on ? run.hook : say_no);
      if (!told && hooks) hooks = told.error();
      decided = decided || (told && hooks && !told->empty() && *told == run.last_word);
      continue;
    }
    if (n > 0) break;
    const bool late = sys::time_left(deadline) == 0ms;
    auto wanted = decided ? Result<void>() : sys::check_cancelled();
    if (wanted && late) wanted = fail(Code::timeout, "criu did not end in time");
    if (wanted) continue;
    const bool asked = !going_on;
    if (!asked) going_on = wanted;
    if (late || !run.tree_lives) (void)sys::send_signal(criu.pidfd.get(), SIGKILL);
    if (asked) continue;
    make_fail(criu);
    deadline = Clock::now() + kGivingUp;
  }
  TRY_AS(sys::ExitStatus status, sys::wait_child(criu.pid));
  TRY(going_on);
  if (decided) (void)sys::check_cancelled();  // too late for what follows as well
  TRY(hooks);
  if (status.ok()) return {};
  const std::string log_path = run.image_dir + "/" + run.log_name;
  const std::string reason = first_error(sys::read_file(log_path, 64u << 20).value_or(""));
  return fail(Code::system, "criu failed ({}){}{} (log: {})", status.text(), reason.empty() ? "" : ": ", reason,
              log_path);
}

}  // namespace vz::checkpoint
