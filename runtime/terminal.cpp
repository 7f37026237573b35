#include "runtime/terminal.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>

#include "base/log.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

// nullopt when FD has ended.
std::optional<std::string> read_some(int fd) {
  char buf[4096];
  const ssize_t n = ::read(fd, buf, sizeof buf);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return "";
  return n > 0 ? std::optional(std::string(buf, static_cast<size_t>(n))) : std::nullopt;
}

// Ctrl-D: our own input ended. Repeated: a shell that sets up its terminal after it came never sees it.
constexpr unsigned char kEndOfFile = 4;
constexpr int kRepeatMs = 300;

}  // namespace

RawMode::RawMode() : active_(::tcgetattr(0, &saved_) == 0) {
  if (!active_) return;
  termios raw = saved_;
  ::cfmakeraw(&raw);
  ::tcsetattr(0, TCSADRAIN, &raw);
}

RawMode::~RawMode() {
  if (active_) ::tcsetattr(0, TCSADRAIN, &saved_);
}

TerminalSignals::TerminalSignals() {
  sigset_t watched;
  sigemptyset(&watched);
  for (const int sig : {SIGWINCH, SIGTERM, SIGHUP}) sigaddset(&watched, sig);
  ::sigprocmask(SIG_BLOCK, &watched, &old_);
  fd_.reset(::signalfd(-1, &watched, SFD_CLOEXEC));
}

TerminalSignals::~TerminalSignals() { ::sigprocmask(SIG_SETMASK, &old_, nullptr); }

void copy_window_size(int terminal) {
  winsize size{};
  if (::ioctl(0, TIOCGWINSZ, &size) == 0) (void)::ioctl(terminal, TIOCSWINSZ, &size);
}

Result<Asked> converse(const Inside& session, const TerminalSignals& signals, DetachKeys* keys) {
  const int master = session.terminal.get();
  bool input = true;
  for (;;) {
    pollfd p[4] = {{master, POLLIN, 0},
                   {input ? 0 : -1, POLLIN, 0},
                   {signals.fd(), POLLIN, 0},
                   {session.child.pidfd.get(), POLLIN, 0}};
    const int ready = ::poll(p, 4, input ? -1 : kRepeatMs);
    if (ready < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (ready == 0) (void)!::write(master, &kEndOfFile, 1);
    signalfd_siginfo info{};
    if (p[2].revents && ::read(signals.fd(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGWINCH)
        copy_window_size(master);
      else if (keys)
        return Asked::detach;
      else
        (void)sys::send_signal(session.child.pidfd.get(), SIGHUP);  // our terminal is gone: so is the session
    }
    if (p[1].revents) {
      const auto bytes = read_some(0);
      if (!bytes && keys) return Asked::detach;
      const auto typed = keys && bytes ? keys->filter(*bytes) : DetachKeys::Typed{bytes.value_or("")};
      input = bytes && sys::write_all(master, typed.text);
      if (typed.asked != Asked::nothing) return typed.asked;
      if (!input) (void)!::write(master, &kEndOfFile, 1);
    }
    if (p[0].revents & POLLIN) {
      const auto shown = read_some(master);
      if (!shown || !sys::write_all(1, *shown)) return fail(Code::system, "the terminal is gone");
    } else if (p[3].revents) {
      return Asked::nothing;  // after its last output
    }
  }
}

Result<sys::ExitStatus> enter(const Host& host, const Container& ct, const std::string& first_command) {
  ExecOptions options;
  options.argv = {"bash", "-l"};
  options.fallbacks = {{"sh", "-l"}};
  options.terminal = true;
  const char* term = std::getenv("TERM");
  options.env = {std::string("TERM=") + (term ? term : "linux"), "HISTFILE=/dev/null"};
  TRY_AS(const Inside shell, start_inside(host, ct, options));
  log::settings().file.clear();  // nothing of a session goes to the log
  log::info("entered into CT {}", ct.id);
  copy_window_size(shell.terminal.get());
  if (!first_command.empty()) TRY(sys::write_all(shell.terminal.get(), first_command + "\n"));
  auto ended = [&] {
    const TerminalSignals signals;
    const RawMode raw;
    return converse(shell, signals, nullptr);
  }();
  auto status = ended ? sys::wait_child(shell.child.pid) : ended.error();
  log::info("exited from CT {}", ct.id);
  return status;
}

}  // namespace vz::runtime
