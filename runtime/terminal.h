// A conversation between our own terminal and one of a container's.
#pragma once

#include <termios.h>

#include "runtime/detach_keys.h"
#include "runtime/exec.h"
#include "sys/unique_fd.h"

namespace vz::runtime {

// Our terminal in raw mode: every key, Ctrl-C too, goes to the guest's line discipline. Put back on every way out.
class RawMode {
 public:
  RawMode();
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  ~RawMode();

 private:
  termios saved_{};
  bool active_;
};

// SIGWINCH, SIGTERM and SIGHUP come as data for as long as it lives.
class TerminalSignals {
 public:
  TerminalSignals();
  TerminalSignals(const TerminalSignals&) = delete;
  TerminalSignals& operator=(const TerminalSignals&) = delete;
  ~TerminalSignals();
  int fd() const { return fd_.get(); }

 private:
  sigset_t old_{};
  sys::UniqueFd fd_;
};

void copy_window_size(int terminal);

// Until the session's process has ended and its last output was shown (Asked::nothing), or until KEYS, if any, ask for
// something. Without KEYS the end of our input is Ctrl-D, and that of our terminal (SIGHUP, SIGTERM) hangs the session
// up; with them both detach.
Result<Asked> converse(const Inside& session, const TerminalSignals& signals, DetachKeys* keys);

}  // namespace vz::runtime
