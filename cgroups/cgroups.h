// A container's control groups, on v1, v2 and every mixture, detected per controller.
//
//   v2:   MOUNT/vz/CTID            limits, owned by the host's root
//         MOUNT/vz/CTID/ct         the guest's own subtree: root of its cgroup namespace, delegated to its root
//         MOUNT/vz/CTID/ct/vz.exec processes entered from outside (v2 allows none beside the guest's sub-groups)
//   v1:   MOUNT/vz/CTID            limits; the guest's cgroup namespace root, owned by the host's root
//
// On a hybrid host the cgroup2 hierarchy has no controllers but still carries the guest's subtree.
// Sources: Documentation/admin-guide/cgroup-v1/, cgroup-v2.rst ("Delegation", "No Internal Process Constraint").
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cgroups/devices.h"
#include "config/spec.h"
#include "sys/unique_fd.h"

namespace vz::cgroups {

// On one block device, in a second; 0: no limit.
struct IoLimit {
  std::string device;  // "MAJOR:MINOR" of a whole one
  uint64_t bytes = 0;  // read, and as many written
  uint64_t operations = 0;
  bool operator==(const IoLimit&) const = default;
};

constexpr uint32_t kUsualIoWeight = 100;  // what the kernel gives to each group

// Unset: no limit (an earlier one is lifted).
struct Limits {
  std::optional<uint64_t> memory = {};       // bytes
  std::optional<uint64_t> swap = {};         // bytes of swap on top of memory
  std::optional<uint64_t> pids = {};         // processes and threads
  std::optional<uint32_t> cpu_units = {};    // vzctl's weight, 8..500000, 1000 is the default
  std::optional<uint32_t> cpu_percent = {};  // hard limit, percent of one CPU
  // Unset: what there is stays. CPUs and memory nodes as cpuset(7) lists them; "": all of them again.
  std::optional<std::string> cpus = {}, nodes = {};
  std::optional<IoLimit> io = {};
  std::optional<uint32_t> io_weight = {};  // 1..1000 among groups, 100 is the default; unset: what there is stays
  bool operator==(const Limits&) const = default;
};

struct Usage {
  uint64_t memory = 0;           // bytes, now
  uint64_t memory_max = 0;       // bytes, ever (0 where the kernel does not tell)
  uint64_t memory_failures = 0;  // times the limit was hit
  uint64_t kernel = 0;           // bytes of memory that the kernel has for it (0 where it does not tell)
  uint64_t swap = 0;             // bytes
  uint64_t pids = 0;
  uint64_t pids_failures = 0;
  uint64_t cpu_ns = 0;  // CPU time used
};

// CPU time by kind; their sum is about Usage::cpu_ns.
struct CpuTimes {
  uint64_t user_ns = 0, nice_ns = 0, system_ns = 0;  // before Linux 6.14 nice is in user
};

// Bytes that went to and came from block devices.
struct IoBytes {
  uint64_t read = 0, written = 0;
  bool operator==(const IoBytes&) const = default;
};
// From the text of io.stat (v2) or blkio.throttle.io_service_bytes_recursive (v1). DEVICE: "MAJOR:MINOR", the only one
// that counts; empty: all. What goes through a loop device is counted there and on the disk below it: the larger sum of
// the two kinds. Pure.
IoBytes parse_io(std::string_view text, std::string_view device);

// What it is doing, for who asks again and again: fewer files than Usage takes, none that is dear to the kernel.
struct Activity {
  uint64_t memory = 0, swap = 0;  // bytes
  uint64_t pids = 0;
  uint64_t cpu_ns = 0;  // CPU time used
  IoBytes io;           // since it started; v1 does not know whose what the kernel writes back later was
};

// Where the hierarchies of this host are. Empty: controller absent.
struct Host {
  std::string v2_mount;  // cgroup2 mount point: "/sys/fs/cgroup" or "/sys/fs/cgroup/unified"
  struct Controller {
    std::string name;      // "memory"
    std::string v1_mount;  // empty: it lives on v2
  };
  std::vector<Controller> controllers;  // those that exist at all, each once
  const Controller* find(std::string_view name) const;
};

// From the text of /proc/self/mountinfo and MOUNT/cgroup.controllers of the cgroup2 mount. Pure.
Result<Host> parse_host(std::string_view mountinfo, std::string_view v2_controllers);
// The same for the running host. Code::unsupported when no cgroup2 hierarchy is mounted.
Result<Host> detect();

// From the text of /proc/PID/cgroup: the name of the Group that the process is in. Pure. A guest can make groups below
// its own only. nullopt: none of ours.
std::optional<std::string> group_of_process(std::string_view proc_cgroup);
// The container that a process of this host is in, 0: none; nullopt: it has ended.
std::optional<config::CtId> container_of(pid_t pid);

// A file to write and what; PATH is relative to the CT's directory of that hierarchy, CONTROLLER picks the hierarchy.
struct Knob {
  std::string controller;
  std::string file;
  std::string value;
  bool optional = false;  // absence of the file is no error (e.g. swap accounting off)
  bool operator==(const Knob&) const = default;
};
// Pure: the writes that bring a CT's groups to LIMITS, in the order they must be made (twins in v1/ and v2/).
std::vector<Knob> plan(const Host& host, const Limits& limits);

class Group {
 public:
  // Names the groups of one container; touches nothing.
  Group(const Host& host, std::string ct_name);

  // Makes all directories (left-overs without processes are used again) and hands the guest's subtree to OWNER. A
  // failure leaves nothing.
  Result<void> create(uid_t owner, std::span<const Device> more = {}) const;
  // The same in two steps, for a newborn that has things to do before it joins the v1 groups; remove() undoes both.
  // MORE: devices that this CT may open besides.
  Result<void> create_v2(uid_t owner, std::span<const Device> more = {}) const;
  Result<void> create_v1(std::span<const Device> more = {}) const;
  // From now on MORE may be opened besides, and what is in BEFORE alone no longer; what is open stays open.
  Result<void> change_devices(std::span<const Device> before, std::span<const Device> more) const;
  // Makes the current limits so. Raising and lowering work on a running CT; Code::cgroup_failed, cpu_failed or
  // io_failed, which names the file.
  // Lowering memory below what is used makes the kernel reclaim; what it cannot do is an error.
  Result<void> apply(const Limits& limits) const;

  // For a process about to be born in the CT: the cgroup2 directory for CLONE_INTO_CGROUP, and the open v1 `tasks`
  // files in which the newborn writes "0" (0.04 ms; moving by another's PID waits for a grace period, 4 to 12 ms).
  struct Entry {
    sys::UniqueFd v2_dir;
    std::vector<sys::UniqueFd> v1_tasks;
  };
  Result<Entry> open_for_exec() const;          // v2: ct/vz.exec, made when missing
  Result<sys::UniqueFd> open_for_init() const;  // v2: ct
  Result<std::vector<sys::UniqueFd>> open_v1_tasks() const;
  // cgroup2 directory, made when missing, for our own processes that outlive their caller: MOUNT/vz/supervisors. In the
  // caller's group they would end with the systemd unit it belongs to.
  Result<sys::UniqueFd> open_for_supervisor() const;
  // In the newborn: joins the v1 groups.
  static Result<void> join(std::span<const sys::UniqueFd> v1_tasks);

  bool exists() const;
  Result<std::vector<pid_t>> processes() const;  // host PIDs, whole subtree, one per process (not thread), sorted
  Result<Usage> usage() const;
  Result<uint64_t> pids() const;  // of usage(), alone
  Result<CpuTimes> cpu_times() const;
  // As parse_io(); nothing where no controller counts it.
  IoBytes io(std::string_view device) const;
  Result<Activity> activity() const;
  // Stops every process (v2 cgroup.freeze where the kernel has it, else v1 freezer) and waits until it is done.
  Result<void> freeze(std::chrono::milliseconds timeout) const;
  Result<void> thaw() const;
  Result<bool> frozen() const;
  // SIGKILL for all of it (cgroup.kill, Linux 5.14, else a loop), until nothing is left. Thaws.
  Result<void> kill(std::chrono::milliseconds timeout) const;
  // Removes all directories, deepest first; absent is fine, EBUSY is retried for a moment (dying processes).
  Result<void> remove() const;

  // The guest's subtree as directories with owners and what the guest set in them, for a restore elsewhere: paths
  // relative to `ct`, parents first; "." is `ct` itself and there only when the guest passes controllers on from it.
  struct Setting {
    std::string file;   // "memory.max", "cgroup.subtree_control"
    std::string value;  // as the kernel prints it
  };
  struct Directory {
    std::string path;
    uid_t uid = 0;  // as seen in the CT (0-based)
    gid_t gid = 0;
    std::vector<Setting> settings = {};  // on v2; in the order they must be made
  };
  Result<std::vector<Directory>> guest_tree(uid_t owner) const;
  Result<void> make_guest_tree(const std::vector<Directory>& tree, uid_t owner) const;
  // The settings, in directories that are there. A group that passes controllers on takes no processes: to be called
  // when init has left the root of the tree.
  Result<void> set_guest_tree(const std::vector<Directory>& tree, uid_t owner) const;

  const std::string& name() const { return name_; }
  // Absolute path of the guest's subtree root in the cgroup2 hierarchy.
  std::string guest_path() const;

 private:
  Host host_;
  std::string name_;
};

}  // namespace vz::cgroups
