// Processes: pidfds and helper programs. Programs are started from an argument vector, never through a shell.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::sys {

// How a process ended: an exit code, or the signal that killed it.
struct ExitStatus {
  int code = 0;
  int signal = 0;
  bool ok() const { return code == 0 && signal == 0; }
  std::string text() const;  // "exit status 2", "killed by signal 9"
};

Result<UniqueFd> open_pidfd(pid_t pid);  // pidfd_open(2)
Result<void> send_signal(int pidfd, int signal);
// Child of ours only. Waits until it ended and reaps it.
Result<ExitStatus> wait_child(pid_t pid);
// Any process: true when it ended within the time. Negative: for ever.
Result<bool> wait_ended(int pidfd, std::chrono::milliseconds timeout);
// Until DEADLINE, 0 when it has passed.
std::chrono::milliseconds time_left(std::chrono::steady_clock::time_point deadline);
// Field 22 of /proc/PID/stat: with the PID it names one process for ever (boot). nullopt when there is none.
std::optional<uint64_t> start_time(pid_t pid);
// Its PIDs, in our PID namespace first and its own last: NSpid in proc_pid_status(5). Code::system when it has ended.
Result<std::vector<pid_t>> namespace_pids(pid_t pid);
// /proc/PID/comm, which the process may choose itself, printable; "?" when it has ended.
std::string command_name(pid_t pid);
// fork(2) whose child gets a pidfd kept by the parent; the child returns with pid 0.
struct Forked {
  pid_t pid = -1;
  UniqueFd pidfd;
};
Result<Forked> fork_process();
// Becomes another program, found in PATH; returns only an error.
Error exec(std::vector<std::string> words);
// For a child that may outlive its caller: leaves it the session, the terminal and all descriptors but KEPT (above 2).
// Its ssh would stay connected otherwise, its locks held, and a script that reads its output would wait.
void detach(std::vector<int> kept);
// A child of ours that leads a session: SIGTERM to its process group, SIGKILL to what is left of it after two seconds.
void end_group(const Forked& leader);
// This process gets what a fresh machine gives, whatever shell it comes from: the first process's resource limits and
// CPUs, the usual priority. Before it enters a user namespace, which may not raise anything.
void forget_callers_limits();

struct Program {
  std::vector<std::string> argv = {};  // argv[0] is looked up in PATH
  std::vector<std::string> env = {};   // added to ours, "NAME=value"
  bool only_env = false;               // env is all it gets
  bool own_session = false;            // and what ends it (a signal to us, the timeout) ends its process group
  std::string input = {};              // its standard input; empty: /dev/null
  std::optional<int> stdin_fd = {};    // instead of input
  std::optional<int> stdout_fd = {};   // not captured then
  std::optional<int> stderr_fd = {};   // not captured then
  std::vector<int> inherit = {};       // further descriptors that stay open, under the same numbers
  uint64_t namespaces = 0;  // CLONE_NEW* it is born into; with CLONE_NEWPID its end is the end of all it started
  std::chrono::milliseconds timeout = std::chrono::minutes(10);  // then killed: Code::timeout
  // In the child; async-signal-safety is the caller's business (we are single-threaded).
  std::function<Result<void>()> before_exec = {};
};

struct Output {
  ExitStatus status;
  std::string out;  // at most 16 MiB each; the rest is read and dropped
  std::string err;
};

// Runs to its end. A program that cannot be started is an error, one that ends badly is not.
Result<Output> run(const Program& program);
// Runs to its end; a bad end is an error with the last line of its stderr. Returns stdout.
Result<std::string> run_ok(const Program& program);
// Starts it and returns at once; exec failure is reported here.
Result<Forked> start(const Program& program);

// Directory of the running executable's helpers: ../libexec/vessel seen from it.
std::string helper_path(const std::string& name);

}  // namespace vz::sys
