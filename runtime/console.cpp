#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/log.h"
#include "base/strings.h"
#include "runtime/terminal.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

std::string name_of(unsigned tty) { return tty ? fmt::format("tty{}", tty) : std::string("console"); }

// Open and locked for as long as somebody is attached; gone with the CT's running state.
Result<sys::UniqueFd> take_seat(const Host& host, config::CtId id, unsigned tty) {
  const std::string path = fmt::format("{}/attached.{}", host.paths.run(id), name_of(tty));
  TRY_AS(sys::UniqueFd seat, sys::open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  if (::flock(seat.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail_sys(errno, "lock '{}'", path);
    const std::string holder = sys::read_fd(seat.get()).value_or("");
    return fail(Code::locked, "The {} of CT {} is attached already, by process {}", name_of(tty), id,
                printable(trim(holder)));
  }
  if (::ftruncate(seat.get(), 0) != 0) return fail_sys(errno, "write '{}'", path);
  TRY(sys::write_all(seat.get(), fmt::format("{}\n", ::getpid())));
  return seat;
}

// Of util-linux, of busybox; where there is none, as in a template of a single program, what there is.
ExecOptions login_program() {
  const char* term = std::getenv("TERM");
  const std::string type = term && *term ? term : "linux";
  ExecOptions options;
  options.argv = {"agetty", "--noclear", "--keep-baud", "-", type};
  options.fallbacks = {{"getty", "0", "-", type}, {"login"}, {"bash", "-l"}, {"sh", "-l"}};
  options.env = {"TERM=" + type};
  options.terminal = true;
  return options;
}

// The device of a process's controlling terminal: field 7 of /proc/PID/stat, the fifth behind its name, which may hold
// anything (proc(5)). Empty: it has none.
std::string terminal_of(pid_t pid) {
  const std::string stat = sys::read_file(fmt::format("/proc/{}/stat", pid)).value_or("");
  const size_t name_end = stat.rfind(')');
  const auto fields = name_end == std::string::npos ? words("") : words(std::string_view(stat).substr(name_end + 1));
  return fields.size() < 5 || fields[4] == "0" ? "" : std::string(fields[4]);
}

// Whatever of the CT's has the session's terminal, in any session and any group. Numbers of terminals are the CT's own.
Result<void> kill_all_on_terminal_of(const Container& ct, const Inside& session) {
  const std::string terminal = terminal_of(session.child.pid);
  TRY_AS(const cgroups::Group group, group_of(ct));
  TRY_AS(const std::vector<pid_t> all, group.processes());
  // All are found before any is killed: with its leader the whole session loses the terminal.
  std::vector<sys::UniqueFd> found;
  for (const pid_t pid : all) {
    auto pidfd = sys::open_pidfd(pid);
    if (pidfd && !terminal.empty() && terminal_of(pid) == terminal) found.push_back(std::move(*pidfd));
  }
  for (const sys::UniqueFd& pidfd : found) (void)sys::send_signal(pidfd.get(), SIGKILL);
  return {};
}

void hang_up(Inside& session) {
  constexpr auto kPatience = 2s;
  session.terminal.reset();
  if (!sys::wait_ended(session.child.pidfd.get(), kPatience).value_or(false)) sys::end_group(session.child);
}

// Asked::nothing: the login ended by itself.
Result<Asked> sit(const Host& host, const Container& ct, const TerminalSignals& signals, DetachKeys& keys) {
  TRY_AS(Inside session, start_inside(host, ct, login_program()));
  copy_window_size(session.terminal.get());
  auto asked = converse(session, signals, &keys);
  auto killed = asked && *asked == Asked::attention ? kill_all_on_terminal_of(ct, session) : Result<void>();
  if (!asked || *asked != Asked::nothing) hang_up(session);
  (void)sys::wait_child(session.child.pid);
  TRY(killed);
  return asked;
}

// A login may end, or not begin, because the CT is just stopping.
bool stops_soon(const Host& host, config::CtId id) {
  for (const auto deadline = Clock::now() + 3s; Clock::now() < deadline; std::this_thread::sleep_for(50ms))
    if (!state::running(host.paths, id)) return true;
  return false;
}

// A new login when one has ended, as the guest's init would start it.
Result<void> sit_until_detached(const Host& host, const Container& ct) {
  constexpr auto kTooShort = 1s;
  constexpr int kMostFailures = 5;
  const TerminalSignals signals;
  const RawMode raw;
  DetachKeys keys;
  for (int failures = 0; failures < kMostFailures;) {
    const auto begun = Clock::now();
    auto asked = sit(host, ct, signals, keys);
    if (!asked) return stops_soon(host, ct.id) ? Result<void>() : std::move(asked).error();
    if (*asked == Asked::detach || !state::running(host.paths, ct.id)) return {};
    failures = *asked == Asked::nothing && Clock::now() - begun < kTooShort ? failures + 1 : 0;
    if (failures) std::this_thread::sleep_for(100ms);
  }
  if (stops_soon(host, ct.id)) return {};
  return fail(Code::exec_failed, "No login stays on the console of CT {}: see the guest's getty and login", ct.id);
}

}  // namespace

Result<void> console(const Host& host, const Container& ct, unsigned tty) {
  if (!state::running(host.paths, ct.id)) return fail(Code::not_running, "Container is not running");
  TRY_AS(const sys::UniqueFd seat, take_seat(host, ct.id, tty));
  log::settings().file.clear();  // nothing of a session goes to the log
  log::info("Attached to CT {} (ESC . to detach)", ct.id);
  auto done = sit_until_detached(host, ct);
  // The line of the guest's that is not complete.
  if (::isatty(1)) (void)!::write(1, "\n", 1);
  TRY(done);
  log::info("Detached from CT {}", ct.id);
  return {};
}

}  // namespace vz::runtime
