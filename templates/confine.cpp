#include "templates/confine.h"

#include <sched.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <initializer_list>
#include <memory>

#include <seccomp.h>

#include "sys/mounts.h"

namespace vz::templates {

namespace {

// Not fcntl, ioctl or tgkill: with them root can send signals to others and type into its terminal.
constexpr const char* kAllowed[] = {
    // data
    "read", "readv", "pread64", "write", "writev", "pwrite64", "lseek", "_llseek", "close", "poll", "ppoll", "sendto",
    "sendmsg", "fsync", "ftruncate", "ftruncate64",
    // names and attributes, below a directory that is open
    "openat", "openat2", "fstat", "fstat64", "newfstatat", "fstatat64", "statx", "getdents64", "mkdirat", "mknodat",
    "symlinkat", "linkat", "unlinkat", "fchown", "fchown32", "fchownat", "fchmod", "fchmodat", "fsetxattr", "utimensat",
    "utimensat_time64",
    // memory, threads (zstd makes some), the end
    "brk", "mremap", "munmap", "madvise", "futex", "futex_time64", "set_robust_list", "rseq", "sched_yield",
    "sched_getaffinity", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "gettid",
    "getrandom", "clock_gettime", "clock_gettime64", "gettimeofday", "exit", "exit_group"};

constexpr cap_value_t kKept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_SETFCAP};

struct FilterCloser {
  void operator()(void* filter) const { seccomp_release(filter); }
};
struct CapsCloser {
  void operator()(cap_t caps) const { cap_free(caps); }
};

Result<void> empty_root() {
  if (::unshare(CLONE_NEWNS) != 0) return fail_sys(errno, "make a mount namespace");
  TRY(sys::make_private("/"));
  TRY(sys::mount("none", "/proc", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=0555"));
  if (::chdir("/proc") != 0 || ::chroot(".") != 0 || ::chdir("/") != 0)
    return fail_sys(errno, "enter the empty directory");
  return {};
}

Result<void> keep_few_capabilities() {
  std::unique_ptr<std::remove_pointer_t<cap_t>, CapsCloser> caps(cap_init());
  if (!caps) return fail_sys(errno, "capabilities");
  constexpr int kCount = std::size(kKept);
  if (cap_set_flag(caps.get(), CAP_PERMITTED, kCount, kKept, CAP_SET) != 0 ||
      cap_set_flag(caps.get(), CAP_EFFECTIVE, kCount, kKept, CAP_SET) != 0 || cap_set_proc(caps.get()) != 0)
    return fail_sys(errno, "give up capabilities");
  return {};
}

// 0 or a negative errno, as in libseccomp.
int allow(scmp_filter_ctx filter, const char* name, std::initializer_list<scmp_arg_cmp> when = {}) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number == __NR_SCMP_ERROR) return 0;  // the library does not know it, so no program it builds for makes it
  return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, static_cast<unsigned>(when.size()), when.begin());
}

Result<void> few_system_calls() {
  std::unique_ptr<void, FilterCloser> filter(seccomp_init(SCMP_ACT_ERRNO(EPERM)));
  if (!filter) return fail(Code::system, "seccomp: out of memory");
  int r = 0;
  for (const char* name : kAllowed)
    if (r == 0) r = allow(filter.get(), name);
  for (const char* name : {"mmap", "mmap2", "mprotect"})
    if (r == 0) r = allow(filter.get(), name, {scmp_arg_cmp{2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}});
  if (r == 0) r = allow(filter.get(), "clone", {scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD}});
  // Its flags lie in memory, where no filter can see them: the C library then falls back to clone(2).
  if (r == 0) r = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
  if (r == 0) r = seccomp_load(filter.get());
  if (r != 0) return fail_sys(-r, "system call filter");
  return {};
}

}  // namespace

Result<void> confine() {
  TRY(empty_root(), "confine");
  TRY(keep_few_capabilities(), "confine");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_sys(errno, "confine: no new privileges");
  TRY(few_system_calls(), "confine");
  return {};
}

}  // namespace vz::templates
