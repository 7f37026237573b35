#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/log.h"
#include "runtime/exec.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

using sys::UniqueFd;

// Our terminal in raw mode: every key, Ctrl-C too, goes to the guest's line discipline. Put back on every way out.
class RawMode {
 public:
  RawMode() : active_(::tcgetattr(0, &saved_) == 0) {
    if (!active_) return;
    termios raw = saved_;
    ::cfmakeraw(&raw);
    ::tcsetattr(0, TCSADRAIN, &raw);
  }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  ~RawMode() {
    if (active_) ::tcsetattr(0, TCSADRAIN, &saved_);
  }

 private:
  termios saved_{};
  bool active_;
};

void copy_window_size(int master) {
  winsize size{};
  if (::ioctl(0, TIOCGWINSZ, &size) == 0) (void)::ioctl(master, TIOCSWINSZ, &size);
}

// False when FROM has ended.
bool relay(int from, int to) {
  char buf[4096];
  const ssize_t n = ::read(from, buf, sizeof buf);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  return n > 0 && sys::write_all(to, {buf, static_cast<size_t>(n)});
}

// Ctrl-D: our own input ended. Repeated: a shell that sets up its terminal after it came never sees it.
constexpr unsigned char kEndOfFile = 4;
constexpr int kRepeatMs = 300;

Result<sys::ExitStatus> converse(Inside& shell, int signals) {
  const int master = shell.terminal.get();
  bool input = true;
  for (;;) {
    pollfd p[4] = {
        {master, POLLIN, 0}, {input ? 0 : -1, POLLIN, 0}, {signals, POLLIN, 0}, {shell.child.pidfd.get(), POLLIN, 0}};
    const int ready = ::poll(p, 4, input ? -1 : kRepeatMs);
    if (ready < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (ready == 0) (void)!::write(master, &kEndOfFile, 1);
    signalfd_siginfo info{};
    if (p[2].revents && ::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      if (info.ssi_signo == SIGWINCH)
        copy_window_size(master);
      else
        (void)sys::send_signal(shell.child.pidfd.get(), SIGHUP);  // our terminal is gone: so is the session
    }
    if (p[1].revents && !relay(0, master)) {
      input = false;
      (void)!::write(master, &kEndOfFile, 1);
    }
    if (p[0].revents & POLLIN) {
      if (!relay(master, 1)) return fail(Code::system, "the terminal is gone");
    } else if (p[3].revents) {
      return sys::wait_child(shell.child.pid);  // after its last output
    }
  }
}

}  // namespace

Result<sys::ExitStatus> enter(const Host& host, const Container& ct, const std::string& first_command) {
  ExecOptions options;
  options.argv = {"bash", "-l"};
  options.fallbacks = {{"sh", "-l"}};
  options.terminal = true;
  const char* term = std::getenv("TERM");
  options.env = {std::string("TERM=") + (term ? term : "linux"), "HISTFILE=/dev/null"};
  TRY_AS(Inside shell, start_inside(host, ct, options));
  log::settings().file.clear();  // nothing of a session goes to the log
  log::info("entered into CT {}", ct.id);
  copy_window_size(shell.terminal.get());
  if (!first_command.empty()) TRY(sys::write_all(shell.terminal.get(), first_command + "\n"));
  sigset_t watched, old;
  sigemptyset(&watched);
  for (const int sig : {SIGWINCH, SIGTERM, SIGHUP}) sigaddset(&watched, sig);
  ::sigprocmask(SIG_BLOCK, &watched, &old);
  UniqueFd signals{::signalfd(-1, &watched, SFD_CLOEXEC)};
  Result<sys::ExitStatus> status = sys::ExitStatus{};
  {
    RawMode raw;
    status = converse(shell, signals.get());
  }
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
  log::info("exited from CT {}", ct.id);
  return status;
}

}  // namespace vz::runtime
