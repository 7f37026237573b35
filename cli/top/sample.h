// What vztop(8) measures: the host, its containers and its processes at one moment.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/json.h"
#include "runtime/container.h"

namespace vz::cli::top {

using Clock = std::chrono::steady_clock;

// ---- pure ---------------------------------------------------------------------------------------------------------

struct HostSample {
  uint64_t uptime = 0;            // seconds
  std::array<double, 3> load{};   // of 1, 5 and 15 minutes
  uint64_t busy = 0, ticks = 0;   // CPU time of all CPUs since the boot: not idle, and all
  unsigned cpus = 1;              // that are on
  uint64_t memory = 0, free = 0;  // bytes; free: available, as the kernel calls it
  uint64_t swap = 0, swap_free = 0;
};
// From the text of the files of that name in /proc. What is missing is 0.
HostSample parse_host(std::string_view uptime, std::string_view loadavg, std::string_view stat,
                      std::string_view meminfo);

struct Bytes {
  uint64_t received = 0, sent = 0;
  bool operator==(const Bytes&) const = default;
};
// The devices in the text of /proc/net/dev.
std::map<std::string, Bytes, std::less<>> parse_devices(std::string_view text);

struct ProcessSample {
  pid_t pid = 0, ppid = 0;  // here
  std::string command;      // as it calls itself
  char state = '?';         // proc_pid_stat(5)
  int64_t nice = 0;
  uint64_t threads = 0;
  uint64_t cpu_ticks = 0;         // used
  uint64_t started = 0;           // ticks after the boot: with the PID, one process for ever
  uint64_t memory = 0, size = 0;  // bytes: resident, of the address space
  config::CtId ct = 0;            // 0: the host
  uid_t uid = 0;                  // in its CT; of the host where it has none there
  bool uid_of_host = true;
};
// From the text of /proc/PID/stat, in which a process may write between the parentheses what it likes. nullopt: it is
// none.
std::optional<ProcessSample> parse_process(std::string_view stat, uint64_t page_size);

// ---- on this host -------------------------------------------------------------------------------------------------

struct CtSample {
  config::CtId id = 0;
  std::string name, hostname;                                  // name: "" where it has none
  const char* status = "";                                     // as in vzlist(8), or "frozen"
  std::optional<cgroups::Activity> used = {};                  // while it runs, as the next one
  std::optional<Bytes> network = {};                           // as it sees them
  std::optional<uint64_t> memory_limit = {}, swap_limit = {};  // bytes
  std::optional<uint64_t> processes_limit = {};
  std::optional<uint64_t> disk = {}, disk_limit = {};  // bytes
};

struct CtSamples {
  Clock::time_point time;
  std::vector<CtSample> all;
};
struct ProcessSamples {
  Clock::time_point time;
  std::vector<ProcessSample> all;
};

Result<HostSample> read_host();

// Keeps what does not change from one sample to the next.
class Reader {
 public:
  explicit Reader(const runtime::Host& host) : host_(host) {}
  // Those that run, or ALL.
  Result<CtSamples> containers(bool all);
  // Of one container, 0: the host, nullopt: of all of them and the host.
  Result<ProcessSamples> processes(std::optional<config::CtId> only);
  // nullopt: it has ended.
  std::optional<ProcessSample> process(pid_t pid);

 private:
  struct Known {
    std::array<int64_t, 6> version{};  // of its files
    runtime::Container ct;
    cgroups::Limits limits;
    Clock::time_point disk_time{};
    std::optional<uint64_t> disk, disk_limit;
  };
  struct Place {
    uint64_t started = 0;
    config::CtId ct = 0;
  };
  Result<Known*> known(config::CtId id);
  std::optional<CtSample> container(config::CtId id, bool all,
                                    const std::map<std::string, Bytes, std::less<>>& devices);
  std::optional<ProcessSample> process_at(int proc, pid_t pid);
  Result<std::vector<pid_t>> pids(std::optional<config::CtId> only) const;

  const runtime::Host& host_;
  std::unordered_map<config::CtId, Known> containers_;
  std::unordered_map<pid_t, Place> places_;
};

// Name of a user of this host; its number where there is none.
const std::string& user_name(uid_t uid);
// /proc/PID/cmdline; empty when it has ended or is the kernel's own.
std::vector<std::string> command_line(pid_t pid);

}  // namespace vz::cli::top
