#include "checkpoint/tracee.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "sys/files.h"
#include "sys/maps.h"

namespace vz::checkpoint {

#ifdef __x86_64__

namespace {

using namespace std::chrono_literals;

constexpr auto kLongestWait = 2s;

// The kernel's own code in each process has one.
Result<uint64_t> syscall_instruction(pid_t pid) {
  TRY_AS(const std::string maps, sys::read_file(fmt::format("/proc/{}/maps", pid), 64u << 20));
  for (const sys::Mapping& m : sys::parse_maps(maps)) {
    if (m.name != "[vdso]") continue;
    std::string code(m.end - m.begin, 0);
    iovec here{code.data(), code.size()}, there{reinterpret_cast<void*>(m.begin), code.size()};
    const ssize_t n = ::process_vm_readv(pid, &here, 1, &there, 1, 0);
    const size_t at = n > 0 ? code.find("\x0f\x05") : std::string::npos;
    if (at != std::string::npos) return m.begin + at;
  }
  return fail(Code::unsupported, "no system call instruction in process {}", pid);
}

}  // namespace

Result<std::unique_ptr<Tracee>> Tracee::stop(pid_t pid) {
  std::unique_ptr<Tracee> t(new Tracee(pid));
  TRY_AS(t->instruction_, syscall_instruction(pid));
  if (::ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP) != 0)
    return fail_sys(errno, "trace process {}", pid);
  t->traced_ = true;
  TRY(t->interrupt());
  TRY(t->save());
  return t;
}

// Where it stands is a place from which the kernel restarts a system call that was interrupted: it looks at the
// registers after such a stop, and only then.
Tracee::~Tracee() {
  if (changed_) {
    (void)::ptrace(PTRACE_SETREGS, pid_, 0, &saved_);
    (void)::ptrace(PTRACE_SETSIGMASK, pid_, sizeof mask_, &mask_);
  }
  if (traced_) (void)::ptrace(PTRACE_DETACH, pid_, 0, signal_);
}

// The status of its next stop.
Result<int> Tracee::wait() const {
  const auto deadline = std::chrono::steady_clock::now() + kLongestWait;
  int status = 0;
  for (;;) {
    const pid_t got = ::waitpid(pid_, &status, __WALL | WNOHANG);
    if (got == pid_ && WIFSTOPPED(status)) return status;
    if (got != 0) return fail(Code::system, "process {} has ended", pid_);
    if (std::chrono::steady_clock::now() > deadline) return fail(Code::timeout, "process {} does not stop", pid_);
    std::this_thread::sleep_for(20us);
  }
}

// Also from within a system call, and from where a signal was about to be delivered.
Result<void> Tracee::interrupt() {
  if (::ptrace(PTRACE_INTERRUPT, pid_, 0, 0) != 0) return fail_sys(errno, "interrupt process {}", pid_);
  TRY_AS(int status, wait());
  while (status >> 16 != PTRACE_EVENT_STOP) {
    if (::ptrace(PTRACE_CONT, pid_, 0, WSTOPSIG(status) & ~0x80) != 0) return fail_sys(errno, "continue {}", pid_);
    TRY_AS(status, wait());
  }
  // Stopped by its user: it would not stay so.
  return WSTOPSIG(status) == SIGTRAP ? Result<void>() : fail(Code::system, "process {} is stopped", pid_);
}

// To the entry or the end of a system call.
Result<void> Tracee::step() {
  if (::ptrace(PTRACE_SYSCALL, pid_, 0, 0) != 0) return fail_sys(errno, "continue process {}", pid_);
  TRY_AS(const int status, wait());
  if (WSTOPSIG(status) == (SIGTRAP | 0x80)) return {};
  signal_ = status >> 16 == 0 ? WSTOPSIG(status) : 0;  // SIGSTOP, which no mask keeps back
  return fail(Code::system, "process {} was disturbed", pid_);
}

Result<void> Tracee::save() {
  if (::ptrace(PTRACE_GETREGS, pid_, 0, &saved_) != 0 || ::ptrace(PTRACE_GETSIGMASK, pid_, sizeof mask_, &mask_) != 0)
    return fail_sys(errno, "read the registers of process {}", pid_);
  return saved_.cs == 0x33 ? Result<void>() : fail(Code::system, "process {} is a 32-bit one", pid_);
}

Result<uint64_t> Tracee::call(uint64_t number, const std::array<uint64_t, 6>& arguments) {
  user_regs_struct regs = saved_;
  regs.rip = instruction_;
  regs.rax = number;
  regs.orig_rax = ~0ull;  // nothing to restart
  regs.rdi = arguments[0];
  regs.rsi = arguments[1];
  regs.rdx = arguments[2];
  regs.r10 = arguments[3];
  regs.r8 = arguments[4];
  regs.r9 = arguments[5];
  const uint64_t all = ~0ull;
  changed_ = true;
  if (::ptrace(PTRACE_SETSIGMASK, pid_, sizeof all, &all) != 0 || ::ptrace(PTRACE_SETREGS, pid_, 0, &regs) != 0)
    return fail_sys(errno, "set the registers of process {}", pid_);
  TRY(step());
  TRY(step());
  if (::ptrace(PTRACE_GETREGS, pid_, 0, &regs) != 0) return fail_sys(errno, "read the registers of {}", pid_);
  TRY(interrupt_again());
  const auto result = static_cast<int64_t>(regs.rax);
  if (result < 0 && result > -4096) return fail_sys(static_cast<int>(-result), "system call in process {}", pid_);
  return regs.rax;
}

Result<void> Tracee::interrupt_again() {
  if (::ptrace(PTRACE_INTERRUPT, pid_, 0, 0) != 0 || ::ptrace(PTRACE_CONT, pid_, 0, 0) != 0)
    return fail_sys(errno, "stop process {} again", pid_);
  TRY(wait());
  return {};
}

#else

Result<std::unique_ptr<Tracee>> Tracee::stop(pid_t pid) {
  return fail(Code::unsupported, "process {}: not on this machine", pid);
}
Tracee::~Tracee() = default;
Result<uint64_t> Tracee::call(uint64_t, const std::array<uint64_t, 6>&) { return fail(Code::unsupported, "no"); }

#endif

}  // namespace vz::checkpoint
