#include "runtime/confinement.h"

#include <sched.h>
#include <sys/mount.h>

#include <cerrno>

namespace vz::runtime {

namespace {

// With a user namespace none of these reaches the host; dropping sys_rawio and sys_module besides makes systemd skip
// the units that could only fail (ConditionCapability=), so that a stock guest is "running" and not "degraded".
constexpr std::string_view kDropped[] = {"sys_module",    "sys_rawio", "sys_time",   "sys_pacct",     "mac_admin",
                                         "mac_override",  "syslog",    "wake_alarm", "block_suspend", "audit_read",
                                         "audit_control", "bpf",       "perfmon"};

// CRIU dumps nested mount namespaces only. systemd takes EPERM as "the container manager prohibits it" and starts the
// service without (ProtectHostname=, PrivateNetwork= ...), but for PrivateUsers=, see run_files().
constexpr uint64_t kNestedNamespaces =
    CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWCGROUP;
constexpr uint64_t kNewTime = 0x80;  // CLONE_NEWTIME shares its bit with clone's exit signal: unshare only

}  // namespace

std::vector<std::string> dropped_capabilities(const config::CtSpec& spec) {
  std::vector<std::string> out(std::begin(kDropped), std::end(kDropped));
  if (!spec.capability) return out;
  for (const config::Capability& c : *spec.capability) {
    std::erase(out, c.name);
    if (!c.on) out.push_back(c.name);
  }
  return out;
}

const std::vector<sys::SyscallRule>& syscall_rules() {
  static const std::vector<sys::SyscallRule> rules = {
      // Reach beyond the container.
      {"kexec_load", EPERM},
      {"kexec_file_load", EPERM},
      {"init_module", EPERM},
      {"finit_module", EPERM},
      {"delete_module", EPERM},
      {"open_by_handle_at", EPERM},
      {"swapon", EPERM},
      {"swapoff", EPERM},
      {"acct", EPERM},
      {"syslog", EPERM},  // the kernel log is the host's, and dmesg_restrict may be off
      {"iopl", EPERM},
      {"ioperm", EPERM},
      {"umount2", EPERM, MNT_FORCE, 1},  // aborts what other users of a network file system wait for
      {"quotactl", EPERM},
      {"quotactl_fd", EPERM},
      {"lookup_dcookie", EPERM},
      // Keyrings are not namespaced and not dumped.
      {"add_key", EPERM},
      {"keyctl", EPERM},
      {"request_key", EPERM},
      // Large kernel attack surface, and nothing of it survives a dump.
      {"bpf", EPERM},
      {"io_uring_setup", EPERM},
      {"io_uring_enter", EPERM},
      {"io_uring_register", EPERM},
      {"userfaultfd", EPERM},
      {"perf_event_open", EPERM},
      {"fanotify_init", EPERM},
      // Namespaces that would make the container impossible to dump.
      {"unshare", EPERM, kNestedNamespaces | kNewTime, 0},
      {"clone", EPERM, kNestedNamespaces, 0},
      {"clone3", ENOSYS},  // its flags lie behind a pointer; glibc falls back to clone
  };
  return rules;
}

const std::vector<MountStep>& guest_mounts() {
  constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  constexpr std::string_view kEmptyDirectory = "/sys/fs/cgroup";  // until cgroup2 is mounted there
  static const std::vector<MountStep> mounts = {
      {"proc", "/proc", kPlain, ""},
      // Read-only: udev and friends stay off by ConditionPathIsReadWrite=/sys.
      {"sysfs", "/sys", kPlain | MS_RDONLY, ""},
      {kEmptyDirectory, "/sys/block", MS_BIND, ""},
      {kEmptyDirectory, "/sys/class/block", MS_BIND, ""},
      {kEmptyDirectory, "/sys/dev/block", MS_BIND, ""},
      {"cgroup2", "/sys/fs/cgroup", kPlain, ""},
      {"tmpfs", "/dev", MS_NOSUID | MS_STRICTATIME, "mode=755,size=4m,nr_inodes=4096"},
      {"devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
      {"tmpfs", "/dev/shm", MS_NOSUID | MS_NODEV, "mode=1777"},
      {"mqueue", "/dev/mqueue", kPlain, ""},
      {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755"},
  };
  return mounts;
}

const std::vector<std::string_view>& device_nodes() {
  static const std::vector<std::string_view> nodes = {"null", "zero", "full", "random", "urandom", "tty"};
  return nodes;
}

const std::vector<std::string_view>& emptied_files() {
  static const std::vector<std::string_view> files = {"/proc/partitions", "/proc/diskstats", "/proc/swaps"};
  return files;
}

const std::vector<Link>& device_links() {
  static const std::vector<Link> links = {{"/proc/self/fd", "/dev/fd"},
                                          {"/proc/self/fd/0", "/dev/stdin"},
                                          {"/proc/self/fd/1", "/dev/stdout"},
                                          {"/proc/self/fd/2", "/dev/stderr"},
                                          {"pts/ptmx", "/dev/ptmx"}};
  return links;
}

const std::vector<SeedFile>& run_files() {
  // A restored pressure-stall trigger is readable for ever: systemd would spin in its event loop and never run a job
  // again. (Service managers below it get the same by the environment of init.)
  static const std::vector<SeedFile> files = {
      {"/run/systemd/system.conf.d/00-vessel.conf", "[Manager]\nDefaultMemoryPressureWatch=off\n"},
      // Without its user namespace systemd does not start such a service at all (Debian's redis-server).
      {"/run/systemd/system/service.d/zz-vessel.conf", "[Service]\nPrivateUsers=no\n"}};
  return files;
}

std::vector<std::string> init_environment() {
  return {"HOME=/", "TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "container=vessel", "MEMORY_PRESSURE_WATCH=/dev/null"};
}

}  // namespace vz::runtime
