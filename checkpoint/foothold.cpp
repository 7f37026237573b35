#include "checkpoint/foothold.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <thread>

#include "base/log.h"
#include "checkpoint/memory.h"
#include "sys/files.h"
#include "sys/maps.h"

namespace vz::checkpoint {

namespace {

using namespace std::chrono_literals;

constexpr uint64_t kLowest = 65536;  // vm.mmap_min_addr, as a rule
constexpr auto kLongestWait = 2s;

using sys::Mapping;

bool executable(const Mapping& m) { return m.modes[2] == 'x'; }
bool of_no_use(const Mapping& m) { return m.modes[3] == 's' && m.modes[1] != 'w'; }

std::string maps_of(pid_t pid) { return sys::read_file(fmt::format("/proc/{}/maps", pid)).value_or(""); }

#ifdef __x86_64__

// A thread that stands still, to make a system call in. It goes on as it was when this ends, or we do.
class Tracee {
 public:
  // An empty, executable page at AT, by the system call instruction at INSTRUCTION.
  static Result<void> map_page(pid_t pid, uint64_t instruction, uint64_t at) {
    Tracee t(pid);
    if (::ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) != 0) return fail_sys(errno, "trace process {}", pid);
    t.traced_ = true;
    TRY(t.stop());
    TRY(t.save());
    user_regs_struct regs = t.saved_;
    regs.rip = instruction;
    regs.rax = SYS_mmap;
    regs.orig_rax = ~0ull;  // nothing to restart
    regs.rdi = at;
    regs.rsi = kPage;
    regs.rdx = PROT_READ | PROT_EXEC;
    regs.r10 = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    regs.r8 = ~0ull;
    regs.r9 = 0;
    TRY_AS(const int64_t result, t.call(regs));
    return result > -4096 && result < 0 ? fail_sys(static_cast<int>(-result), "map a page in process {}", pid)
                                        : Result<void>();
  }
  Tracee(const Tracee&) = delete;
  Tracee& operator=(const Tracee&) = delete;

 private:
  explicit Tracee(pid_t pid) : pid_(pid) {}
  // Where it stands is a place from which the kernel restarts a system call that was interrupted: it looks at the
  // registers after such a stop, and only then.
  ~Tracee() {
    if (changed_) {
      (void)::ptrace(PTRACE_SETREGS, pid_, 0, &saved_);
      (void)::ptrace(PTRACE_SETSIGMASK, pid_, sizeof mask_, &mask_);
    }
    if (traced_) (void)::ptrace(PTRACE_DETACH, pid_, 0, signal_);
  }

  // The status of its next stop.
  Result<int> wait() const {
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
  Result<void> stop() {
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
  Result<void> step() {
    if (::ptrace(PTRACE_SYSCALL, pid_, 0, 0) != 0) return fail_sys(errno, "continue process {}", pid_);
    TRY_AS(const int status, wait());
    if (WSTOPSIG(status) == (SIGTRAP | 0x80)) return {};
    signal_ = status >> 16 == 0 ? WSTOPSIG(status) : 0;  // SIGSTOP, which no mask keeps back
    return fail(Code::system, "process {} was disturbed", pid_);
  }

  Result<void> save() {
    if (::ptrace(PTRACE_GETREGS, pid_, 0, &saved_) != 0 || ::ptrace(PTRACE_GETSIGMASK, pid_, sizeof mask_, &mask_) != 0)
      return fail_sys(errno, "read the registers of process {}", pid_);
    return saved_.cs == 0x33 ? Result<void>() : fail(Code::system, "process {} is a 32-bit one", pid_);
  }

  // What the system call that REGS stand before returned.
  Result<int64_t> call(user_regs_struct regs) {
    const uint64_t all = ~0ull;
    changed_ = true;
    if (::ptrace(PTRACE_SETSIGMASK, pid_, sizeof all, &all) != 0 || ::ptrace(PTRACE_SETREGS, pid_, 0, &regs) != 0)
      return fail_sys(errno, "set the registers of process {}", pid_);
    TRY(step());
    TRY(step());
    if (::ptrace(PTRACE_GETREGS, pid_, 0, &regs) != 0) return fail_sys(errno, "read the registers of {}", pid_);
    TRY(stop_again());
    return static_cast<int64_t>(regs.rax);
  }

  Result<void> stop_again() {
    if (::ptrace(PTRACE_INTERRUPT, pid_, 0, 0) != 0 || ::ptrace(PTRACE_CONT, pid_, 0, 0) != 0)
      return fail_sys(errno, "stop process {} again", pid_);
    TRY(wait());
    return {};
  }

  pid_t pid_;
  bool traced_ = false, changed_ = false;
  int signal_ = 0;
  uint64_t mask_ = 0;
  user_regs_struct saved_{};
};

// The kernel's own code in each process has one.
Result<uint64_t> syscall_instruction(pid_t pid, const std::vector<Mapping>& all) {
  for (const Mapping& m : all) {
    if (m.name != "[vdso]") continue;
    std::string code(m.end - m.begin, 0);
    iovec here{code.data(), code.size()}, there{reinterpret_cast<void*>(m.begin), code.size()};
    const ssize_t n = ::process_vm_readv(pid, &here, 1, &there, 1, 0);
    const size_t at = n > 0 ? code.find("\x0f\x05") : std::string::npos;
    if (at != std::string::npos) return m.begin + at;
  }
  return fail(Code::unsupported, "no system call instruction in process {}", pid);
}

#endif

}  // namespace

std::optional<uint64_t> foothold_place(std::string_view maps) {
  uint64_t free = kLowest;
  std::optional<uint64_t> place;
  for (const Mapping& m : sys::parse_maps(maps)) {
    if (!place && m.begin >= free + kPage) place = free;
    if (executable(m)) return of_no_use(m) ? place : std::nullopt;
    free = std::max(free, m.end);
  }
  return std::nullopt;
}

Result<void> give_foothold(pid_t pid, uint64_t at) {
#ifdef __x86_64__
  const std::string maps = maps_of(pid);
  TRY_AS(const uint64_t instruction, syscall_instruction(pid, sys::parse_maps(maps)));
  return Tracee::map_page(pid, instruction, at);
#else
  return fail(Code::unsupported, "process {} at {:#x}: not on this machine", pid, at);
#endif
}

void give_footholds(const std::vector<pid_t>& pids) {
  for (const pid_t pid : pids) {
    const auto at = foothold_place(maps_of(pid));
    if (!at) continue;
    const auto given = give_foothold(pid, *at);
    log::detail("process {} gets a page for criu: {}", pid, given ? "done" : given.error().text);
  }
}

}  // namespace vz::checkpoint
