// A thread of a guest that stands still for a moment, to make system calls in its name. Source: ptrace(2).
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <array>
#include <cstdint>
#include <memory>

#include "base/result.h"

namespace vz::checkpoint {

class Tracee {
 public:
  // The other threads of its process run meanwhile; a system call that it is in goes on afterwards; filters of system
  // calls do not see ours. Code::system: it is traced, stopped by its user, a 32-bit one or has ended; Code::timeout;
  // Code::unsupported on this machine.
  static Result<std::unique_ptr<Tracee>> stop(pid_t pid);
  // It goes on as it was. So it does when we die.
  ~Tracee();
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;

  // What the system call returned, or the error that it returned. Any other error: it was disturbed, try no more.
  Result<uint64_t> call(uint64_t number, const std::array<uint64_t, 6>& arguments);

 private:
  explicit Tracee(pid_t pid) : pid_(pid) {}
  Result<int> wait() const;
  Result<void> interrupt();
  Result<void> step();
  Result<void> save();
  Result<void> interrupt_again();

  pid_t pid_;
  bool traced_ = false, changed_ = false;
  int signal_ = 0;
  uint64_t mask_ = 0, instruction_ = 0;  // of a system call
  user_regs_struct saved_{};
};

}  // namespace vz::checkpoint
