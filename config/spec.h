// What a container is configured to be: plain data, no I/O. Unset means "not in CTID.conf and not in vz.conf".
// Units are in the comments; the text forms are config/params.cpp's business. vzctl's names are kept (ctid.conf(5)).
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace vz::config {

using CtId = uint32_t;  // 1..2147483644; 0 is the host
constexpr CtId kMaxCtId = 2147483644;
constexpr uint64_t kUnlimited = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());

struct BarrierLimit {
  uint64_t barrier = kUnlimited;
  uint64_t limit = kUnlimited;
  bool operator==(const BarrierLimit&) const = default;
};

// One NETIF entry. MACs are upper case "00:18:51:AA:BB:CC"; empty string: not given.
struct NetIf {
  std::string ifname;  // in the CT
  std::string mac;
  std::string host_ifname;
  std::string host_mac;
  std::string bridge;  // empty: not put into a bridge
  std::optional<bool> mac_filter;
  bool operator==(const NetIf&) const = default;
};

// An address of IP_ADDRESS in canonical text; prefix only when one was given.
struct IpAddress {
  std::string address;
  std::optional<unsigned> prefix;
  bool v6 = false;
  std::string text() const { return prefix ? address + "/" + std::to_string(*prefix) : address; }
  bool operator==(const IpAddress&) const = default;
};

struct Capability {
  std::string name;  // lower case, without "cap_"
  bool on = false;
  bool operator==(const Capability&) const = default;
};

// A device of the host's that the CT may open.
struct DevNode {
  std::string name;  // below /dev: "net/tun"
  bool read = false, write = false;
  bool operator==(const DevNode&) const = default;
};

// Devices by their number.
struct DeviceNumber {
  bool block = false;
  uint32_t major = 0;
  std::optional<uint32_t> minor;  // unset: all of them
  bool read = false, write = false;
  std::string number() const;  // "c:10:200"
  bool operator==(const DeviceNumber&) const = default;
};

enum class Layout { dir, image };

// What becomes of a running container when the host shuts down.
enum class StopMode { suspend, stop };

// A CPULIMIT: percent of one CPU, or (of_host) percent of the whole host. 0: no limit.
struct CpuLimit {
  uint32_t percent = 0;
  bool of_host = false;
  bool operator==(const CpuLimit&) const = default;
};

// A CPUMASK or NODEMASK: numbers, ascending; none: all of them.
struct NumberSet {
  std::vector<uint32_t> members = {};
  bool automatic = false;  // CPUMASK: the CPUs of NODEMASK's nodes
  bool operator==(const NumberSet&) const = default;
};

struct CtSpec {
  // Identity
  std::optional<std::string> name, description, hostname, ostemplate, template_digest, origin_sample;
  std::optional<bool> onboot, disabled;
  std::optional<uint64_t> bootorder;
  std::optional<StopMode> autostop;
  std::optional<uint64_t> stop_timeout;  // seconds, 0: default
  // Places; $VEID already replaced
  std::optional<std::string> ve_root, ve_private;
  std::optional<Layout> layout;
  // Network
  std::optional<std::vector<IpAddress>> ip_address;
  std::optional<std::vector<NetIf>> netif;
  std::optional<std::vector<std::string>> netdev;                    // network devices of the host's
  std::optional<std::vector<std::string>> nameserver, searchdomain;  // {"inherit"} copies the host's
  // Limits. physpages, swappages in pages (4096 bytes), numproc in items
  std::optional<BarrierLimit> physpages, swappages, numproc;
  std::optional<uint32_t> cpuunits;  // 8..500000, default 1000
  std::optional<CpuLimit> cpulimit;
  std::optional<uint32_t> cpus;  // number of CPUs it may use at once
  std::optional<NumberSet> cpumask, nodemask;
  std::optional<uint64_t> iolimit, iopslimit;  // bytes and operations a second, 0: no limit
  std::optional<uint32_t> ioprio;              // 0..7, 4 is what others have
  // Disk. diskspace in 1 KiB blocks, soft:hard
  std::optional<BarrierLimit> diskspace, diskinodes;
  // Rights
  std::optional<std::vector<Capability>> capability;
  std::optional<std::vector<DevNode>> devnodes;
  std::optional<std::vector<DeviceNumber>> devices;
  // By key, as they print: kept_params.h
  std::map<std::string, std::string, std::less<>> kept;
};

// vz.conf without the per-CT defaults in it (those are merged into each CtSpec).
struct GlobalConf {
  std::string lockdir = "/var/lib/vz/lock";
  std::string dumpdir = "/var/lib/vz/dump";
  std::string template_dir = "/var/lib/vz/template";
  std::string logfile = "/var/log/vzctl.log";
  bool logging = true;
  int log_level = 0;
  int verbose = 0;
  std::string configfile;  // sample for create, may be empty
  std::string def_ostemplate;
  bool ipv6 = true;
  uint64_t stop_timeout = 120;  // seconds
  bool start_at_boot = true;    // VIRTUOZZO
  StopMode stop_mode = StopMode::suspend;
  uint64_t parallel = 0;  // containers that start or stop at the same time; 0: four for each processor
  std::string criu;       // program; empty: found by checkpoint/
};

}  // namespace vz::config
