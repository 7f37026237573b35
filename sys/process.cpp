#include "sys/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "base/strings.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/namespaces.h"

namespace vz::sys {

namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kCaptureLimit = 16u << 20;

ExitStatus from_wait(int status) {
  return WIFSIGNALED(status) ? ExitStatus{0, WTERMSIG(status)} : ExitStatus{WEXITSTATUS(status), 0};
}

int poll_ms(std::chrono::milliseconds t) { return t.count() < 0 ? -1 : static_cast<int>(t.count()); }

struct Pipe {
  UniqueFd read, write;
};
Result<Pipe> make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void keep_open(int fd) { ::fcntl(fd, F_SETFD, 0); }

// In the child: never returns. The exec error goes through `report`, which closes by itself when exec works.
[[noreturn]] void exec_child(const Program& p, int in, int out, int err, int report) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // Ignored signals stay ignored across exec; criu, for one, ends its helpers by SIGTERM and waits.
  for (int sig = 1; sig < NSIG; ++sig) ::signal(sig, SIG_DFL);
  int error = 0;
  // Lift them above 2 first: one of them may itself be 0, 1 or 2.
  const int fds[3] = {::fcntl(in, F_DUPFD_CLOEXEC, 3), ::fcntl(out, F_DUPFD_CLOEXEC, 3),
                      ::fcntl(err, F_DUPFD_CLOEXEC, 3)};
  for (int i = 0; i < 3; ++i)
    if (fds[i] < 0 || ::dup2(fds[i], i) < 0) error = errno;
  for (const int fd : p.inherit) keep_open(fd);
  if (p.own_session) ::setsid();
  if (!error && p.before_exec)
    if (auto r = p.before_exec(); !r) error = r.error().sys_errno ? r.error().sys_errno : EINVAL;
  if (!error) {
    if (p.only_env) ::clearenv();
    for (const std::string& e : p.env) ::putenv(const_cast<char*>(e.c_str()));
    std::vector<char*> argv;
    for (const std::string& a : p.argv) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    error = errno;
  }
  (void)!::write(report, &error, sizeof error);
  ::_exit(127);
}

struct Started {
  Forked child;
  UniqueFd in, out, err;  // our ends of the pipes
};

Result<Started> spawn(const Program& p, bool capture) {
  Started s;
  TRY_AS(Pipe report, make_pipe());
  TRY_AS(UniqueFd null, open("/dev/null", O_RDWR));
  Pipe in, out, err;
  int in_fd = p.stdin_fd.value_or(null.get());
  int out_fd = p.stdout_fd.value_or(null.get());
  int err_fd = p.stderr_fd.value_or(null.get());
  if (!p.stdin_fd && !p.input.empty()) {
    TRY_AS(in, make_pipe());
    in_fd = in.read.get();
  }
  if (!p.stdout_fd && capture) {
    TRY_AS(out, make_pipe());
    out_fd = out.write.get();
  }
  if (!p.stderr_fd && capture) {
    TRY_AS(err, make_pipe());
    err_fd = err.write.get();
  }
  TRY_AS(s.child, p.namespaces ? clone_process(p.namespaces, -1) : fork_process());
  if (s.child.pid == 0) exec_child(p, in_fd, out_fd, err_fd, report.write.get());
  report.write.reset();
  int error = 0;
  const ssize_t n = ::read(report.read.get(), &error, sizeof error);
  if (n == static_cast<ssize_t>(sizeof error)) {
    (void)wait_child(s.child.pid);
    return fail_sys(error, "run '{}'", p.argv[0]);
  }
  s.in = std::move(in.write);
  s.out = std::move(out.read);
  s.err = std::move(err.read);
  return s;
}

void drain(UniqueFd& fd, std::string& into) {
  char buf[65536];
  const ssize_t n = ::read(fd.get(), buf, sizeof buf);
  if (n > 0 && into.size() < kCaptureLimit) into.append(buf, static_cast<size_t>(n));
  if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) fd.reset();
}

void kill_child(const Program& program, const Forked& child) {
  if (program.own_session)
    end_group(child);
  else
    (void)send_signal(child.pidfd.get(), SIGKILL);
  (void)wait_child(child.pid);
}

}  // namespace

std::string ExitStatus::text() const {
  return signal ? fmt::format("killed by signal {}", signal) : fmt::format("exit status {}", code);
}

Result<UniqueFd> open_pidfd(pid_t pid) {
  UniqueFd fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  if (!fd) return fail_sys(errno, "open process {}", pid);
  return fd;
}

Result<void> send_signal(int pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0) != 0)
    return fail_sys(errno, "send signal {}", signal);
  return {};
}

Result<ExitStatus> wait_child(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0)
    if (errno != EINTR) return fail_sys(errno, "wait for process {}", pid);
  return from_wait(status);
}

Result<bool> wait_ended(int pidfd, std::chrono::milliseconds timeout) {
  pollfd p{pidfd, POLLIN, 0};
  const auto deadline = Clock::now() + timeout;
  for (;;) {
    const int n = ::poll(&p, 1, timeout.count() < 0 ? -1 : poll_ms(time_left(deadline)));
    if (n > 0) return true;
    if (n == 0) return false;
    if (errno != EINTR) return fail_sys(errno, "wait for a process");
    TRY(check_cancelled());
  }
}

std::chrono::milliseconds time_left(Clock::time_point deadline) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  return std::max(left, std::chrono::milliseconds(0));
}

std::optional<uint64_t> start_time(pid_t pid) {
  const auto text = read_file(fmt::format("/proc/{}/stat", pid));
  if (!text) return std::nullopt;
  const size_t paren = text->rfind(')');  // the name may hold spaces and parentheses
  if (paren == std::string::npos) return std::nullopt;
  const auto fields = words(std::string_view(*text).substr(paren + 1));
  return fields.size() > 19 ? parse_u64(fields[19]) : std::nullopt;
}

Result<std::vector<pid_t>> namespace_pids(pid_t pid) {
  TRY_AS(const std::string status, read_file(fmt::format("/proc/{}/status", pid)));
  std::vector<pid_t> out;
  for (const std::string_view line : split(status, '\n'))
    if (line.starts_with("NSpid:"))
      for (const std::string_view word : words(line.substr(6)))
        if (const auto inside = parse_u64(word)) out.push_back(static_cast<pid_t>(*inside));
  if (out.empty()) return fail(Code::system, "process {} has no PID", pid);
  return out;
}

std::string command_name(pid_t pid) {
  return printable(trim(read_file(fmt::format("/proc/{}/comm", pid)).value_or("?")));
}

Result<Forked> fork_process() {
  Forked f;
  f.pid = ::fork();
  if (f.pid < 0) return fail_sys(errno, "fork");
  if (f.pid > 0) {
    TRY_AS(f.pidfd, open_pidfd(f.pid));  // our unreaped child: the PID cannot have been reused
  }
  return f;
}

void end_group(const Forked& leader) {
  constexpr auto kGrace = std::chrono::seconds(2);
  (void)::kill(-leader.pid, SIGTERM);
  const auto deadline = Clock::now() + kGrace;
  pollfd p{leader.pidfd.get(), POLLIN, 0};
  while (::poll(&p, 1, poll_ms(time_left(deadline))) < 0 && errno == EINTR) {
  }
  (void)::kill(-leader.pid, SIGKILL);  // not reaped yet: the number is still its own
}

Result<Forked> start(const Program& program) {
  TRY_AS(Started s, spawn(program, false));
  if (s.in) TRY(write_all(s.in.get(), program.input), "standard input of '{}'", program.argv[0]);
  return std::move(s.child);
}

Error exec(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& w : words) argv.push_back(w.data());
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  return fail_sys(errno, "run '{}'", words[0]);
}

void detach(std::vector<int> kept) {
  ::setsid();
  const int null = ::open("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) (void)::dup2(null, fd);
  std::sort(kept.begin(), kept.end());
  unsigned from = 3;
  for (const int fd : kept) {
    const auto next = static_cast<unsigned>(fd);
    if (next > from) (void)::close_range(from, next - 1, 0);
    from = next + 1;
  }
  (void)::close_range(from, ~0u, 0);
}

void forget_callers_limits() {
  constexpr rlim_t kOpenFiles = 1024;
  ::umask(022);
  for (int resource = 0; resource < RLIM_NLIMITS; ++resource) {
    const auto which = static_cast<__rlimit_resource>(resource);
    rlimit limit{}, own{};
    if (::prlimit(1, which, nullptr, &limit) != 0 || ::getrlimit(which, &own) != 0) continue;
    // An init raises these two for itself.
    if (resource == RLIMIT_NOFILE) limit.rlim_cur = std::min(limit.rlim_max, kOpenFiles);
    if (resource == RLIMIT_CORE) limit.rlim_cur = 0;
    if (::setrlimit(which, &limit) == 0) continue;
    limit = {std::min(limit.rlim_cur, own.rlim_max), own.rlim_max};  // without CAP_SYS_RESOURCE
    (void)::setrlimit(which, &limit);
  }
  cpu_set_t cpus;
  if (::sched_getaffinity(1, sizeof cpus, &cpus) == 0) (void)::sched_setaffinity(0, sizeof cpus, &cpus);
  (void)::setpriority(PRIO_PROCESS, 0, 0);
  (void)write_file("/proc/self/oom_score_adj", "0");
}

Result<Output> run(const Program& program) {
  TRY_AS(Started s, spawn(program, true));
  Output o;
  std::string_view input = program.input;
  const auto deadline = Clock::now() + program.timeout;
  bool ended = false;
  while (!ended || s.out || s.err) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    if (left.count() <= 0) {
      kill_child(program, s.child);
      return fail(Code::timeout, "'{}' did not end within {} s", program.argv[0],
                  std::chrono::duration_cast<std::chrono::seconds>(program.timeout).count());
    }
    pollfd p[4] = {{s.in.get(), POLLOUT, 0},
                   {s.out.get(), POLLIN, 0},
                   {s.err.get(), POLLIN, 0},
                   {ended ? -1 : s.child.pidfd.get(), POLLIN, 0}};
    // A background grandchild may keep the pipes open: once the program ended, take what is there and go.
    const int n = ::poll(p, 4, ended ? 50 : poll_ms(left));
    if (n < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (auto go_on = check_cancelled(); !go_on) {
      kill_child(program, s.child);
      return std::move(go_on).error();
    }
    if (n == 0 && ended) break;
    if (n <= 0) continue;
    if (p[0].revents) {
      const ssize_t w = ::write(s.in.get(), input.data(), std::min<size_t>(input.size(), 4096));
      if (w > 0) input.remove_prefix(static_cast<size_t>(w));
      if (w < 0 || input.empty()) s.in.reset();
    }
    if (p[1].revents) drain(s.out, o.out);
    if (p[2].revents) drain(s.err, o.err);
    if (p[3].revents) ended = true;
  }
  TRY_AS(o.status, wait_child(s.child.pid));
  return o;
}

Result<std::string> run_ok(const Program& program) {
  TRY_AS(Output o, run(program));
  if (o.status.ok()) return std::move(o.out);
  const auto lines = split(trim(o.err), '\n');
  return fail(Code::system, "'{}' failed ({}){}{}", program.argv[0], o.status.text(), lines.empty() ? "" : ": ",
              lines.empty() ? std::string() : printable(lines.back()));
}

std::string helper_path(const std::string& name) {
  const auto self = read_link("/proc/self/exe");
  const std::string dir = self ? parent_dir(*self) : "/usr/sbin";
  return parent_dir(dir) + "/libexec/vessel/" + name;
}

}  // namespace vz::sys
