#include "sys/namespaces.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "sys/files.h"

namespace vz::sys {

Result<Forked> clone_process(uint64_t flags, int into_cgroup) {
  int pidfd = -1;
  clone_args args{};
  args.flags = flags | CLONE_PIDFD | (into_cgroup >= 0 ? CLONE_INTO_CGROUP : 0);
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.cgroup = into_cgroup >= 0 ? static_cast<uint64_t>(into_cgroup) : 0;
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) return fail_sys(errno, "clone");
  Forked f;
  f.pid = static_cast<pid_t>(pid);
  if (pid > 0) f.pidfd.reset(pidfd);
  return f;
}

Result<void> write_id_maps(pid_t pid, IdRange range) {
  const std::string map = fmt::format("0 {} {}", range.first, range.count);
  TRY(write_file(fmt::format("/proc/{}/uid_map", pid), map), "user ids");
  TRY(write_file(fmt::format("/proc/{}/gid_map", pid), map), "group ids");
  return {};
}

Result<UniqueFd> make_user_ns(IdRange range) {
  TRY_AS(Forked child, clone_process(CLONE_NEWUSER, -1));
  if (child.pid == 0) {
    ::pause();
    ::_exit(0);
  }
  auto result = [&]() -> Result<UniqueFd> {
    TRY(write_id_maps(child.pid, range));
    return open_ns(child.pid, "user");
  }();
  (void)send_signal(child.pidfd.get(), SIGKILL);
  (void)wait_child(child.pid);
  return result;
}

Result<UniqueFd> open_ns(pid_t pid, const std::string& kind) {
  return open(fmt::format("/proc/{}/ns/{}", pid, kind), O_RDONLY);
}

Result<void> enter_ns(int fd, int flags) {
  if (::setns(fd, flags) != 0) return fail_sys(errno, "enter a namespace");
  return {};
}

Result<bool> same_ns(int a, int b) {
  struct ::stat x {};
  struct ::stat y {};
  if (::fstat(a, &x) != 0 || ::fstat(b, &y) != 0) return fail_sys(errno, "stat a namespace");
  return x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

}  // namespace vz::sys
