#include "runtime/exec.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "runtime/confinement.h"
#include "runtime/inside.h"
#include "sys/cancel.h"
#include "sys/files.h"

namespace vz::runtime {

namespace {

using sys::Channel;
using sys::UniqueFd;

constexpr int kJoin =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWTIME;
enum ExecStep : int { kPty = 1 };

// Ctrl-C ends the wait, also where those who wait have it blocked to pass it on.
bool is_interrupted() {
  sigset_t pending;
  sigemptyset(&pending);
  ::sigpending(&pending);
  return sigismember(&pending, SIGINT) || sigismember(&pending, SIGTERM) || sigismember(&pending, SIGHUP);
}

Result<UniqueFd> pass_door(const Host& host, config::CtId id) {
  for (;;) {
    TRY_AS(auto door, state::hold_door(host.paths, id, state::Door::shared));
    if (door) return std::move(*door);
    if (is_interrupted()) return fail(Code::cancelled, "Cancelled while the container stands still");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

struct JoinPlan {
  cgroups::Group::Entry entry;
  UniqueFd init;  // pidfd
  std::vector<std::string> drop;
};

Result<JoinPlan> plan_join(const Host& host, const Container& ct) {
  const auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "Container is not running");
  JoinPlan plan;
  TRY_AS(plan.init, sys::open_pidfd(running->init));
  if (sys::start_time(running->init) != running->init_start) return fail(Code::not_running, "Container is not running");
  TRY_AS(cgroups::Group group, group_of(ct));
  TRY_AS(plan.entry, group.open_for_exec(), "cgroups");
  plan.drop = dropped_capabilities(ct.spec);
  return plan;
}

// Opened here, in the CT's devpts, so that ttyname(3), ps and job control inside see a terminal of theirs.
Result<void> open_terminal(const Channel& host) {
  TRY_AS(UniqueFd master, sys::open("/dev/ptmx", O_RDWR | O_NOCTTY));
  int unlock = 0;
  if (::ioctl(master.get(), TIOCSPTLCK, &unlock) != 0) return fail_sys(errno, "unlock a pty");
  UniqueFd slave{::ioctl(master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)};
  if (!slave) return fail_sys(errno, "open a pty");
  if (::ioctl(slave.get(), TIOCSCTTY, 0) != 0) return fail_sys(errno, "make a pty the controlling terminal");
  for (int fd = 0; fd < 3; ++fd)
    if (::dup2(slave.get(), fd) < 0) return fail_sys(errno, "dup2");
  const int fd = master.get();
  return host.post(kPty, {&fd, 1});
}

Result<void> use_stdio(const ExecOptions& o) {
  const int lifted[3] = {::fcntl(o.stdin_fd, F_DUPFD_CLOEXEC, 10), ::fcntl(o.stdout_fd, F_DUPFD_CLOEXEC, 10),
                         ::fcntl(o.stderr_fd, F_DUPFD_CLOEXEC, 10)};
  for (int fd = 0; fd < 3; ++fd)
    if (lifted[fd] < 0 || ::dup2(lifted[fd], fd) < 0) return fail_sys(errno, "dup2");
  return {};
}

// Killed by a signal that nobody can catch, vzctl passes nothing on: the kernel hangs up then (PR_SET_PDEATHSIG in
// prctl(2); a change of credentials would clear it). That is after the fork, so vzctl may be dead already.
Result<void> end_with_caller(const Channel& host) {
  if (::prctl(PR_SET_PDEATHSIG, SIGHUP) != 0) return fail_sys(errno, "death signal");
  pollfd p{host.fd(), 0, 0};
  return ::poll(&p, 1, 0) == 0 ? Result<void>() : fail(Code::peer, "vzctl is dead");
}

Result<void> join_guest(const JoinPlan& plan, const ExecOptions& options, const Channel& host) {
  sys::forget_callers_limits();
  TRY(cgroups::Group::join(plan.entry.v1_tasks), "join the cgroups");
  TRY(sys::enter_ns(plan.init.get(), kJoin));
  TRY(become_root());
  TRY(end_with_caller(host));
  // A session of its own: the guest cannot push input into the terminal vzctl was typed on (TIOCSTI), and Ctrl-C is
  // passed on by us.
  ::setsid();
  if (options.terminal)
    TRY(open_terminal(host));
  else
    TRY(use_stdio(options));
  if (::chdir("/root") != 0 && ::chdir("/") != 0) return fail_sys(errno, "chdir");
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int sig = 1; sig < NSIG; ++sig) ::signal(sig, SIG_DFL);
  return confine(plan.drop);
}

Error exec_first_that_exists(const ExecOptions& options) {
  ::clearenv();
  for (const char* e :
       {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root", "LOGNAME=root"})
    ::putenv(const_cast<char*>(e));
  for (const std::string& e : options.env) ::putenv(const_cast<char*>(e.c_str()));
  std::vector<std::vector<std::string>> tries = options.fallbacks;
  tries.insert(tries.begin(), options.argv);
  for (const auto& words : tries) {
    std::vector<char*> argv;
    for (const std::string& w : words) argv.push_back(const_cast<char*>(w.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    if (errno != ENOENT) break;
  }
  return Error::sys(errno, fmt::format("run '{}' in the container", options.argv[0]), Code::exec_failed);
}

struct Spawned {
  sys::Forked child;
  Channel channel;
};

Result<Spawned> spawn(const Host& host, const Container& ct, const ExecOptions& options) {
  TRY_AS(const UniqueFd door, pass_door(host, ct.id));
  TRY_AS(JoinPlan plan, plan_join(host, ct));
  TRY_AS(Channel::Pair channel, Channel::make());
  // The child is born in the PID namespace; our own membership does not change, but later children of ours would be
  // born there as well: put it back (pid_namespaces(7)).
  TRY_AS(UniqueFd own, sys::open_ns(::getpid(), "pid_for_children"));
  TRY(sys::enter_ns(plan.init.get(), CLONE_NEWPID));
  auto child = sys::clone_process(0, plan.entry.v2_dir.get());
  if (child && child->pid == 0) {
    channel.parent.close();
    auto joined = join_guest(plan, options, channel.child);
    (void)channel.child.post_error(joined ? exec_first_that_exists(options) : joined.error());
    ::_exit(127);
  }
  TRY(sys::enter_ns(own.get(), CLONE_NEWPID));
  if (!child) return std::move(child).error();
  return Spawned{std::move(*child), std::move(channel.parent)};
}

Result<UniqueFd> until_exec(const Channel& channel, bool terminal) {
  UniqueFd master;
  if (terminal) {
    TRY_AS(master, channel.expect_fd(kPty));
  }
  TRY(channel.expect_exec());
  return master;
}

Result<sys::ExitStatus> follow(const sys::Forked& child, int signals) {
  for (;;) {
    pollfd p[2] = {{child.pidfd.get(), POLLIN, 0}, {signals, POLLIN, 0}};
    if (::poll(p, 2, -1) < 0 && errno != EINTR) return fail_sys(errno, "poll");
    signalfd_siginfo info{};
    // To its whole process group, as a terminal would: a shell alone would leave behind what it waits for.
    if (p[1].revents && ::read(signals, &info, sizeof info) == static_cast<ssize_t>(sizeof info))
      (void)::kill(-child.pid, static_cast<int>(info.ssi_signo));
    if (p[0].revents) return sys::wait_child(child.pid);
  }
}

Result<void> until_end(const sys::Forked& child, std::chrono::steady_clock::time_point deadline, int caller) {
  constexpr std::chrono::milliseconds kGlance{200};  // a signal that came between two waits is seen this late
  for (;;) {
    pollfd p[2] = {{child.pidfd.get(), POLLIN, 0}, {caller, POLLIN | POLLRDHUP, 0}};
    const auto left = sys::time_left(deadline);
    if (::poll(p, 2, static_cast<int>(std::min(left, kGlance).count())) < 0 && errno != EINTR)
      return fail_sys(errno, "poll");
    if (p[0].revents) return {};
    if (p[1].revents) return fail(Code::cancelled, "Cancelled");
    TRY(sys::check_cancelled());
    if (left.count() == 0) return fail(Code::timeout, "it did not end in time");
  }
}

}  // namespace

Result<Inside> start_inside(const Host& host, const Container& ct, const ExecOptions& options) {
  TRY_AS(Spawned s, spawn(host, ct, options));
  auto master = until_exec(s.channel, options.terminal);
  if (!master) {
    (void)sys::wait_child(s.child.pid);
    return std::move(master).error();
  }
  return Inside{std::move(s.child), std::move(*master)};
}

Result<sys::ExitStatus> exec(const Host& host, const Container& ct, const ExecOptions& options) {
  sigset_t passed, old;
  sigemptyset(&passed);
  for (const int sig : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&passed, sig);
  ::sigprocmask(SIG_BLOCK, &passed, &old);
  UniqueFd signals{::signalfd(-1, &passed, SFD_CLOEXEC)};
  auto started = start_inside(host, ct, options);
  auto status = started ? follow(started->child, signals.get()) : started.error();
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
  return status;
}

Result<sys::ExitStatus> run_bounded(const Host& host, const Container& ct, const ExecOptions& options,
                                    std::chrono::milliseconds timeout, const sys::Channel* caller) {
  TRY_AS(const Inside inside, start_inside(host, ct, options));
  const auto ended = until_end(inside.child, std::chrono::steady_clock::now() + timeout, caller ? caller->fd() : -1);
  if (!ended) sys::end_group(inside.child);
  auto status = sys::wait_child(inside.child.pid);
  TRY(ended);
  return status;
}

Result<sys::Output> capture_inside(const Host& host, const Container& ct, const std::vector<std::string>& argv,
                                   std::chrono::milliseconds timeout) {
  constexpr int kPipeSize = 65536;
  TRY_AS(UniqueFd null, sys::open("/dev/null", O_RDWR));
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return fail_sys(errno, "pipe");
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  ExecOptions options;
  options.argv = argv;
  options.stdin_fd = options.stderr_fd = null.get();
  options.stdout_fd = write_end.get();
  TRY_AS(Inside inside, start_inside(host, ct, options));
  TRY_AS(bool ended, sys::wait_ended(inside.child.pidfd.get(), timeout));
  if (!ended) TRY(sys::send_signal(inside.child.pidfd.get(), SIGKILL));
  sys::Output output;
  TRY_AS(output.status, sys::wait_child(inside.child.pid));
  output.out.resize(kPipeSize);
  const ssize_t n = ::read(read_end.get(), output.out.data(), output.out.size());
  output.out.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return output;
}

}  // namespace vz::runtime
