// probe-syscalls: tries, in a process each, what a container must not do, and prints "NAME RESULT" for each: "refused"
// (EPERM, EACCES, ENOSYS), "allowed", or the other error it came to, which means that nothing had stopped it before.
#include <errno.h>
#include <linux/bpf.h>
#include <linux/fanotify.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

long bpf() {
  bpf_attr map{};
  map.map_type = BPF_MAP_TYPE_ARRAY;
  map.key_size = map.value_size = 4;
  map.max_entries = 1;
  return syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map);
}

long perf_event_open() {
  perf_event_attr event{};
  event.type = PERF_TYPE_SOFTWARE;
  event.size = sizeof event;
  event.config = PERF_COUNT_SW_CPU_CLOCK;
  event.exclude_kernel = event.exclude_hv = 1;
  return syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
}

long io_uring_setup() {
  char parameters[120] = {};
  return syscall(SYS_io_uring_setup, 1, parameters);
}

long clock_settime() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return ::clock_settime(CLOCK_REALTIME, &now);
}

// The exit signal is the low byte of clone's flags.
template <unsigned long kFlags>
long clone_with() {
  const long pid = syscall(SYS_clone, kFlags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) _exit(0);
  return pid;
}

template <int kFlags>
long unshare_with() {
  return unshare(kFlags);
}

long clone3() {
  unsigned long arguments[8] = {};
  const long pid = syscall(SYS_clone3, arguments, sizeof arguments);
  if (pid == 0) _exit(0);
  return pid;
}

#ifdef __x86_64__
// The same calls by the numbers of 32-bit programs.
long i386(long number, long argument) {
  long result;
  asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(argument), "c"(0L), "d"(0L), "S"(0L), "D"(0L) : "memory");
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}
long unshare_i386() { return i386(310, CLONE_NEWUTS); }
long userfaultfd_i386() { return i386(374, UFFD_USER_MODE_ONLY); }
#endif

struct Probe {
  const char* name;
  long (*run)();
};

constexpr int kNewTime = 0x80;
const Probe kProbes[] = {
    {"bpf", bpf},
    {"kexec_load", [] { return syscall(SYS_kexec_load, 0, 0, nullptr, 0); }},
    {"kexec_file_load", [] { return syscall(SYS_kexec_file_load, -1, -1, 0, nullptr, 0); }},
    {"init_module", [] { return syscall(SYS_init_module, "", 0, ""); }},
    {"finit_module", [] { return syscall(SYS_finit_module, -1, "", 0); }},
    {"delete_module", [] { return syscall(SYS_delete_module, "no-such-module", 0); }},
    {"userfaultfd", [] { return syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY); }},
    {"add_key", [] { return syscall(SYS_add_key, "user", "probe", "x", 1, -2); }},
    {"keyctl", [] { return syscall(SYS_keyctl, 0, -3, 1); }},
    {"request_key", [] { return syscall(SYS_request_key, "user", "probe", nullptr, 0); }},
    {"perf_event_open", perf_event_open},
    {"io_uring_setup", io_uring_setup},
    {"fanotify_init", [] { return syscall(SYS_fanotify_init, FAN_CLASS_NOTIF | FAN_REPORT_FID, 0); }},
    {"open_by_handle_at", [] { return syscall(SYS_open_by_handle_at, -1, nullptr, 0); }},
    {"syslog", [] { return syscall(SYS_syslog, 10, nullptr, 0); }},
    {"swapon", [] { return syscall(SYS_swapon, "/no-such-file", 0); }},
    {"acct", [] { return syscall(SYS_acct, nullptr); }},
    {"quotactl", [] { return syscall(SYS_quotactl, 0, nullptr, 0, nullptr); }},
    {"umount-force", [] { return syscall(SYS_umount2, "/nowhere", MNT_FORCE); }},
    {"clock_settime", clock_settime},
    {"unshare-user", unshare_with<CLONE_NEWUSER>},
    {"unshare-uts", unshare_with<CLONE_NEWUTS>},
    {"unshare-ipc", unshare_with<CLONE_NEWIPC>},
    {"unshare-pid", unshare_with<CLONE_NEWPID>},
    {"unshare-net", unshare_with<CLONE_NEWNET>},
    {"unshare-cgroup", unshare_with<CLONE_NEWCGROUP>},
    {"unshare-time", unshare_with<kNewTime>},
    {"clone-user", clone_with<CLONE_NEWUSER>},
    {"clone-uts", clone_with<CLONE_NEWUTS>},
    {"clone-ipc", clone_with<CLONE_NEWIPC>},
    {"clone-pid", clone_with<CLONE_NEWPID>},
    {"clone-net", clone_with<CLONE_NEWNET>},
    {"clone-cgroup", clone_with<CLONE_NEWCGROUP>},
    {"clone3", clone3},
#ifdef __x86_64__
    {"iopl", [] { return syscall(SYS_iopl, 3); }},
    {"ioperm", [] { return syscall(SYS_ioperm, 0x80, 1, 1); }},
    {"unshare-i386", unshare_i386},
    {"userfaultfd-i386", userfaultfd_i386},
#endif
    // What a guest needs: if this is refused, the others prove nothing.
    {"unshare-mount", unshare_with<CLONE_NEWNS>},
};

const char* result_of(const Probe& probe) {
  if (probe.run() >= 0) return "allowed";
  return errno == EPERM || errno == EACCES || errno == ENOSYS ? "refused" : strerrorname_np(errno);
}

}  // namespace

int main() {
  setvbuf(stdout, nullptr, _IOLBF, 0);
  for (const Probe& probe : kProbes) {
    const pid_t pid = fork();
    if (pid == 0) {
      printf("%s %s\n", probe.name, result_of(probe));
      return 0;
    }
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0) return 1;
    if (WIFSIGNALED(status)) printf("%s killed\n", probe.name);
  }
  return 0;
}
