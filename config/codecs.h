// How each kind of parameter is read and printed. A scalar codec has parse() and print(); a list codec has add(), which
// takes one item of a command line or of a stored list, and print().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/strings.h"
#include "config/config.h"

namespace vz::config {

Result<void> check_domain(std::string_view text);
Result<void> check_assignable(const IpAddress& ip);  // not a loopback or multicast one

namespace codec {

// Free text on one line: no control characters but the tab.
struct Text {
  static Result<std::string> parse(std::string_view text);
  static std::string print(const std::string& v) { return v; }
};

struct Name : Text {  // empty: none
  static Result<std::string> parse(std::string_view text);
};

struct Hostname : Text {
  static Result<std::string> parse(std::string_view text);
};

// One component of a path: a template, a sample.
struct FileName : Text {
  static Result<std::string> parse(std::string_view text);
};

// An absolute path, not "/", without the slashes at its end.
struct Path : Text {
  static Result<std::string> parse(std::string_view text);
};

struct YesNo {
  static Result<bool> parse(std::string_view text);
  static std::string print(bool v) { return v ? "yes" : "no"; }
};

constexpr uint64_t kYear = uint64_t{365} * 86400;  // seconds
Result<uint64_t> parse_in_range(std::string_view text, uint64_t min, uint64_t max);

template <class T, uint64_t Min, uint64_t Max>
struct Number {
  static Result<T> parse(std::string_view text) {
    TRY_AS(const uint64_t v, parse_in_range(text, Min, Max));
    return static_cast<T>(v);
  }
  static std::string print(T v) { return std::to_string(v); }
};

template <uint64_t Unit>
struct Limits {
  static Result<BarrierLimit> parse(std::string_view text) { return parse_barrier_limit(text, Unit); }
  static std::string print(const BarrierLimit& v) { return print_barrier_limit(v); }
};

// --ram, --swap: bytes, kept as 0:PAGES, rounded up.
struct Memory {
  static Result<BarrierLimit> parse(std::string_view text);
};

struct Cpu {
  static Result<CpuLimit> parse(std::string_view text);
  static std::string print(const CpuLimit& v);
};

// "0-3,5" or "all"; of CPUs also "auto".
struct NumberList {
  static Result<NumberSet> parse(std::string_view text);
  static std::string print(const NumberSet& v);
};
struct CpuList : NumberList {
  static Result<NumberSet> parse(std::string_view text);
};

// Bytes a second, kept as such; BARE: what a number without a unit counts. 0: no limit.
template <uint64_t Bare>
struct Rate {
  static Result<uint64_t> parse(std::string_view text) {
    if (text == "unlimited") return uint64_t{0};
    TRY_AS(const uint64_t value, parse_size(text, 1));
    const uint64_t factor = parse_u64(text) ? Bare : 1;
    if (value > INT32_MAX / factor) return fail(Code::invalid, "'{}' is more than 2 GiB a second", printable(text));
    return value * factor;
  }
  static std::string print(uint64_t v) { return std::to_string(v); }
};

struct LayoutName {
  static Result<Layout> parse(std::string_view text);
  static std::string print(Layout v) { return v == Layout::dir ? "dir" : "image"; }
};

struct StopModeName {
  static Result<StopMode> parse(std::string_view text);
  static std::string print(StopMode v) { return v == StopMode::suspend ? "suspend" : "stop"; }
};

// The same address again replaces the earlier one; 0.0.0.0 and :: are skipped.
struct Addresses {
  static Result<void> add(std::vector<IpAddress>& list, std::string_view item);
  static std::string print(const std::vector<IpAddress>& list);
};

struct Interfaces {
  static Result<void> add(std::vector<NetIf>& list, std::string_view item);
  static std::string print(const std::vector<NetIf>& list) { return print_netif_value(list); }
};

// Words, or "inherit" alone.
struct Nameservers {
  static Result<void> add(std::vector<std::string>& list, std::string_view item);
  static std::string print(const std::vector<std::string>& list);
};

struct SearchDomains : Nameservers {
  static Result<void> add(std::vector<std::string>& list, std::string_view item);
};

struct Capabilities {
  static Result<void> add(std::vector<Capability>& list, std::string_view item);
  static std::string print(const std::vector<Capability>& list);
};

// "none" is for none at all, "NAME:none" for one less.
struct DevNodes {
  static Result<void> add(std::vector<DevNode>& list, std::string_view item);
  static std::string print(const std::vector<DevNode>& list);
};

// The same, of device numbers.
struct Devices {
  static Result<void> add(std::vector<DeviceNumber>& list, std::string_view item);
  static std::string print(const std::vector<DeviceNumber>& list);
};

struct NetDevs {
  static Result<void> add(std::vector<std::string>& list, std::string_view item);
  static std::string print(const std::vector<std::string>& list) { return join(list, " "); }
};

Result<void> remove_netdevs(CtSpec& spec, std::string_view text);     // a name or "all"
Result<void> remove_addresses(CtSpec& spec, std::string_view text);   // an address (its mask does not matter) or "all"
Result<void> remove_interfaces(CtSpec& spec, std::string_view text);  // an ifname or "all"
Result<void> edit_interface(CtSpec& spec, std::string_view text);     // "eth0,mac=...,bridge=..."

}  // namespace codec
}  // namespace vz::config
