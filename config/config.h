// vz.conf and CTID.conf: text in, text out (no I/O), and the table of parameters that drives them (params.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "config/spec.h"

namespace vz::config {

// A KEY=VALUE file that keeps every line it does not change: comments, order, unknown keys, blank lines.
class File {
 public:
  // Never fails: a line that is neither comment nor assignment is kept and warned about. WARNINGS get one line each
  // (duplicate keys: the first wins).
  static File parse(std::string_view text, std::vector<std::string>* warnings = nullptr);
  std::optional<std::string> get(std::string_view key) const;
  // Replaces the key's line in place (and drops its duplicates: a shell would take the last) or appends KEY="VALUE".
  // VALUE is stored so that a shell sourcing the file reads back exactly VALUE, but $VEID in a place (VE_ROOT,
  // VE_PRIVATE) stays for it to expand; a value holding a newline or a NUL is Code::invalid.
  Result<void> set(std::string_view key, std::string_view value);
  void erase(std::string_view key);
  std::string text() const;
  std::vector<std::pair<std::string, std::string>> entries() const;

 private:
  struct Line {
    std::string raw, key, value;  // raw: with its newline; key empty: kept as is
    bool duplicate = false;       // an earlier line has the key
  };
  std::vector<Line> lines_;
};

// Fills SPEC from FILE by the table; ID replaces $VEID / ${VEID} in paths. Bad values are skipped with a warning each.
// Only keys still unset in SPEC are taken: call it for CTID.conf first, then for vz.conf.
void load(const File& file, CtId id, CtSpec& spec, std::vector<std::string>* warnings = nullptr);
// $VEID and ${VEID} in VE_ROOT and VE_PRIVATE: load() does it, for values of the command line the caller does.
void expand_places(CtSpec& spec, CtId id);
GlobalConf load_global(const File& file, std::vector<std::string>* warnings = nullptr);

// One parameter: key, command line options, unit, parse, print, how it takes effect. One row each; loader, saver,
// `set`, usage, completion and the man-page check walk table().
enum class Live { yes, restart, save };  // takes effect at once on a running CT; after a restart; is only stored
struct Param {
  // "PHYSPAGES"; "" for an option that is not stored (userpasswd). The first row with a key reads its stored text,
  // further ones are other options that change it (ram).
  std::string_view key;
  std::string_view option;  // "physpages"; "" when it has none
  std::string_view arg;     // "N[:N]" for usage
  std::string_view help;
  Live live;
  bool repeatable;  // --ipadd A --ipadd B
  // Applies the option's text to SPEC (for repeatable ones: once per occurrence, in order). Code::invalid says why.
  Result<void> (*parse)(CtSpec& spec, std::string_view text);
  // The stored text; nullopt when unset in SPEC.
  std::optional<std::string> (*print)(const CtSpec& spec);
  // Not null for a repeatable option that replaces the stored list: to be called before its first occurrence.
  void (*reset)(CtSpec& spec) = nullptr;
  // Why it has no effect, a sentence without its end; empty: it has one.
  std::string_view no_effect = {};
};
const std::vector<Param>& table();
const Param* find_option(std::string_view option);
const Param* find_key(std::string_view key);

// A command line's --option VALUE.
struct Change {
  const Param* param = nullptr;
  std::string value;
};
// CHANGES to SPEC as vzctl makes them: deletions first, then the others in their order; lists that are replaced are
// emptied once. The error names the option: "Bad parameter for --ipadd: '1.2.3' is not an IP address".
Result<void> apply(CtSpec& spec, const std::vector<Change>& changes);

// Parsers, also used alone. All Code::invalid on bad text. UNIT: bytes, or kItems (a plain number without suffix).
constexpr uint64_t kItems = 0;
constexpr uint64_t kPageSize = 4096;
constexpr uint64_t kDiskBlock = 1024;
// "1.5G" -> in UNITs, bare number: UNITs; "unlimited"
Result<uint64_t> parse_size(std::string_view text, uint64_t unit);
Result<BarrierLimit> parse_barrier_limit(std::string_view text, uint64_t unit);  // "N", "B:L"
std::string print_barrier_limit(const BarrierLimit& v);               // "N" when equal, else "B:L", "unlimited"
Result<IpAddress> parse_ip(std::string_view text);                    // canonical form by inet_pton/ntop
Result<NetIf> parse_netif_option(std::string_view text);              // "eth0[,mac,host_ifname,host_mac,bridge]"
Result<std::vector<NetIf>> parse_netif_value(std::string_view text);  // "ifname=eth0,mac=...;..."
std::string print_netif_value(const std::vector<NetIf>& v);
// "00:18:51:AA:BB:CC", in any case; neither multicast nor all zero: those cannot be a device's own.
bool valid_mac(std::string_view text);
Result<Capability> parse_capability(std::string_view text);  // "net_admin:on"
Result<DevNode> parse_devnode(std::string_view text);        // "net/tun:rw"; "net/tun:none" is neither read nor written
Result<DeviceNumber> parse_device(std::string_view text);    // "c:10:200:rw", "b:8:all:r"; "c:10:200:none" as above
bool valid_node_name(std::string_view name);                 // below /dev, and not what every CT has there
Result<void> check_netdev(std::string_view text);            // a name that NETDEV may have
Result<void> check_hostname(std::string_view text);
Result<void> check_name(std::string_view text);  // a CT's NAME: fit for /etc/vz/names/NAME
// Lower case, valid in --capability. ve_admin and setveid of old files are accepted besides and mean nothing.
const std::vector<std::string_view>& capability_names();

}  // namespace vz::config
