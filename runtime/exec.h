// Running a program inside a running container: same namespaces, groups, limits, capabilities and system call filter as
// everything else in there.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/container.h"
#include "sys/channel.h"
#include "sys/process.h"

namespace vz::runtime {

struct ExecOptions {
  std::vector<std::string> argv;                    // tried as given (execvp with the guest's PATH)
  std::vector<std::vector<std::string>> fallbacks;  // tried in order when argv[0] does not exist in the guest
  std::vector<std::string> env;                     // added to PATH, HOME, USER, LOGNAME
  int stdin_fd = 0, stdout_fd = 1, stderr_fd = 2;
  bool terminal = false;  // instead of the three: a new pty in the CT's devpts, its controlling terminal
};

struct Inside {
  sys::Forked child;       // of this process, with its host PID
  sys::UniqueFd terminal;  // the pty's master when one was asked for
};
// Starts it and returns when exec worked. It gets SIGHUP if we die before it. Code::not_running, Code::exec_failed.
Result<Inside> start_inside(const Host& host, const Container& ct, const ExecOptions& options);

// Runs it to its end with our own stdin, stdout, stderr; SIGINT, SIGTERM, SIGHUP, SIGQUIT that reach us are passed on
// to its process group.
Result<sys::ExitStatus> exec(const Host& host, const Container& ct, const ExecOptions& options);

// Runs it to its end. Its process group is ended after TIMEOUT (Code::timeout), by a signal to us, or when CALLER, if
// any, hangs up (Code::cancelled).
Result<sys::ExitStatus> run_bounded(const Host& host, const Container& ct, const ExecOptions& options,
                                    std::chrono::milliseconds timeout, const sys::Channel* caller);

// Interactive login shell on a terminal of the container's own: raw mode here, job control there, window size followed.
// FIRST_COMMAND, when not empty, is typed into it first.
Result<sys::ExitStatus> enter(const Host& host, const Container& ct, const std::string& first_command);

// The same with a login (getty) of the guest's on it, a new one when one has ended, until Esc and "." are typed, our
// input ends or the container stops. TTY (0: the console) names a seat: Code::locked while somebody else has it.
constexpr unsigned kLastTty = 63;
Result<void> console(const Host& host, const Container& ct, unsigned tty);

// Runs a program with stdin and stderr at /dev/null and collects up to 64 KiB of its stdout: for `stop`, `start
// --wait`. What it printed is the guest's word. Killed after TIMEOUT.
Result<sys::Output> capture_inside(const Host& host, const Container& ct, const std::vector<std::string>& argv,
                                   std::chrono::milliseconds timeout);

}  // namespace vz::runtime
