// PID 1 of the tiny template. It mounts nothing (the runtime has done that), runs /etc/rc once, reaps what is orphaned,
// and ends the container on a signal. Linked statically, without the C++ library.
//
//   signal         from                                   what happens
//   SIGRTMIN+4     the runtime; systemd's convention      power off
//   SIGUSR2        busybox poweroff                       power off
//   SIGPWR         LXC's convention                       power off
//   SIGRTMIN+3     systemd's convention                   halt
//   SIGUSR1        busybox halt                           halt
//   SIGRTMIN+5     systemd's convention                   reboot
//   SIGTERM        busybox reboot                         reboot
//   SIGINT         Ctrl-Alt-Del, as in every init         reboot
//
// Each runs /etc/rc.shutdown, if there is one, then sends SIGTERM to every process, SIGKILL after two seconds to those
// that are left, and calls reboot(2), which in a PID namespace ends it and tells the parent which of the three it was.
#include <errno.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr const char* kStart = "/etc/rc";
constexpr const char* kStop = "/etc/rc.shutdown";
constexpr long kMillisecond = 1'000'000;
constexpr int kStopScriptMs = 10'000;
constexpr int kTermMs = 2'000;
constexpr int kKillMs = 1'000;

struct Action {
  int signal;
  unsigned how;  // of reboot(2)
};

// All signals are blocked and waited for: PID 1 gets no signal that it neither blocks nor handles.
sigset_t all_signals;

// -1 when there is no script to run. The script's name stands for itself: it may also be a program.
pid_t run(const char* script) {
  if (access(script, X_OK) != 0) return -1;
  const pid_t pid = fork();
  if (pid != 0) return pid;
  sigprocmask(SIG_UNBLOCK, &all_signals, nullptr);
  setsid();
  execl(script, script, static_cast<char*>(nullptr));
  if (errno == ENOEXEC) execl("/bin/sh", "sh", script, static_cast<char*>(nullptr));
  _exit(127);
}

// true when PID, if it is one, was among those reaped.
bool reap(pid_t wanted) {
  bool found = false;
  for (pid_t pid; (pid = waitpid(-1, nullptr, WNOHANG)) > 0;) found = found || pid == wanted;
  return found;
}

void wait_millisecond() {
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  const timespec step{0, kMillisecond};
  sigtimedwait(&child, nullptr, &step);
}

void run_stop_script() {
  const pid_t pid = run(kStop);
  for (int ms = 0; pid > 0 && ms < kStopScriptMs && !reap(pid); ++ms) wait_millisecond();
}

// Counts also those that entered from outside, which are no children of ours.
bool alone() {
  reap(-1);
  return kill(-1, 0) != 0 && errno == ESRCH;
}

void end_all(int signal, int timeout_ms) {
  if (alone()) return;
  kill(-1, signal);
  kill(-1, SIGCONT);  // a stopped process would not see it
  for (int ms = 0; ms < timeout_ms && !alone(); ++ms) wait_millisecond();
}

[[noreturn]] void shut_down(unsigned how) {
  run_stop_script();
  end_all(SIGTERM, kTermMs);
  end_all(SIGKILL, kKillMs);
  reboot(static_cast<int>(how));
  _exit(0);  // without CAP_SYS_BOOT: the end of PID 1 ends the container as well
}

}  // namespace

int main() {
  sigfillset(&all_signals);
  sigprocmask(SIG_BLOCK, &all_signals, nullptr);
  if (getpid() != 1) {
    constexpr char kText[] = "init: only as PID 1\n";
    return write(STDERR_FILENO, kText, sizeof kText - 1) < 0 ? 2 : 1;
  }
  const Action actions[] = {{SIGRTMIN + 4, RB_POWER_OFF},   {SIGUSR2, RB_POWER_OFF},   {SIGPWR, RB_POWER_OFF},
                            {SIGRTMIN + 3, RB_HALT_SYSTEM}, {SIGUSR1, RB_HALT_SYSTEM}, {SIGRTMIN + 5, RB_AUTOBOOT},
                            {SIGTERM, RB_AUTOBOOT},         {SIGINT, RB_AUTOBOOT}};
  run(kStart);
  for (;;) {
    const int signal = sigwaitinfo(&all_signals, nullptr);
    for (const Action& a : actions)
      if (a.signal == signal) shut_down(a.how);
    reap(-1);
  }
}
