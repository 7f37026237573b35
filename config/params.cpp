// The table of parameters: one row each. man/ctid.conf.5 has an entry for each key (tests/lint/man-params).
#include <algorithm>

#include "base/strings.h"
#include "config/codecs.h"
#include "config/config.h"
#include "config/kept_params.h"

namespace vz::config {

namespace {

using namespace codec;

template <class Codec, auto Member>
Result<void> parse_scalar(CtSpec& spec, std::string_view text) {
  TRY_AS(spec.*Member, Codec::parse(text));
  return {};
}

template <class Codec, auto Member>
std::optional<std::string> print_member(const CtSpec& spec) {
  if (!(spec.*Member)) return std::nullopt;
  return Codec::print(*(spec.*Member));
}

template <class Codec, auto Member>
Result<void> parse_list(CtSpec& spec, std::string_view text) {
  if (!(spec.*Member)) (spec.*Member).emplace();
  for (const std::string_view item : words(text)) TRY(Codec::add(*(spec.*Member), item));
  return {};
}

template <class Codec, auto Member>
Param one(std::string_view key, std::string_view option, std::string_view arg, Live live, std::string_view help) {
  return {key, option, arg, help, live, false, parse_scalar<Codec, Member>, print_member<Codec, Member>};
}

template <class Codec, auto Member>
Param list(std::string_view key, std::string_view option, std::string_view arg, Live live, std::string_view help) {
  return {key, option, arg, help, live, true, parse_list<Codec, Member>, print_member<Codec, Member>};
}

// A list that an option replaces as a whole.
template <class Codec, auto Member>
Param new_list(std::string_view key, std::string_view option, std::string_view arg, Live live, std::string_view help) {
  Param p = list<Codec, Member>(key, option, arg, live, help);
  p.reset = [](CtSpec& spec) { (spec.*Member).emplace(); };
  return p;
}

// A further option that changes the value of an earlier row.
template <class Codec, auto Member>
Param also(std::string_view key, std::string_view option, std::string_view arg, bool repeatable, std::string_view help,
           Result<void> (*parse)(CtSpec&, std::string_view)) {
  return {key, option, arg, help, Live::yes, repeatable, parse, print_member<Codec, Member>};
}

std::optional<std::string> print_nothing(const CtSpec&) { return std::nullopt; }

Result<void> check_userpasswd(CtSpec&, std::string_view text) {
  const size_t colon = text.find(':');
  if (colon == 0 || colon == std::string_view::npos || colon + 1 == text.size() || !Text::parse(text))
    return fail(Code::invalid, "not USER:PASSWORD on one line");
  return {};
}

using Seconds = Number<uint64_t, 0, kYear>;
using Order = Number<uint64_t, 0, kUnlimited>;
using CpuUnits = Number<uint32_t, 8, 500000>;
using CpuCount = Number<uint32_t, 0, 65536>;
using IoPriority = Number<uint32_t, 0, 7>;
using Operations = Number<uint64_t, 0, UINT32_MAX>;
using Items = Limits<kItems>;
using Pages = Limits<kPageSize>;
using Blocks = Limits<kDiskBlock>;
using S = CtSpec;

// clang-format off
std::vector<Param> make_table() {
  using enum Live;
  return {
    one<Name, &S::name>("NAME", "name", "NAME", save, "name to use in place of the CTID; '' removes it"),
    one<Text, &S::description>("DESCRIPTION", "description", "TEXT", save, "free text, one line"),
    one<Hostname, &S::hostname>("HOSTNAME", "hostname", "NAME", yes, "host name inside the container"),
    one<FileName, &S::ostemplate>("OSTEMPLATE", "ostemplate", "NAME", save, "OS template it was made from"),
    one<FileName, &S::template_digest>("OSTEMPLATE_DIGEST", "", "SHA256", save, "that template's file, as it was then"),
    one<FileName, &S::origin_sample>("ORIGIN_SAMPLE", "", "NAME", save, "sample its configuration came from"),
    one<YesNo, &S::onboot>("ONBOOT", "onboot", "yes|no", save, "start it when the host boots"),
    one<YesNo, &S::disabled>("DISABLED", "disabled", "yes|no", save, "refuse to start it"),
    one<Order, &S::bootorder>("BOOTORDER", "bootorder", "N", save, "start priority at boot, higher first"),
    one<StopModeName, &S::autostop>("AUTOSTOP", "autostop", "suspend|stop", save, "what the host's shutdown does to it"),
    one<Seconds, &S::stop_timeout>("STOP_TIMEOUT", "stop-timeout", "SECONDS", save, "time to stop in, 0: default"),

    one<Path, &S::ve_root>("VE_ROOT", "root", "PATH", restart, "mount point of its file system"),
    one<Path, &S::ve_private>("VE_PRIVATE", "private", "PATH", restart, "its private area"),
    one<LayoutName, &S::layout>("VE_LAYOUT", "layout", "image|dir", save, "how the private area is stored"),

    list<Addresses, &S::ip_address>("IP_ADDRESS", "ipadd", "ADDRESS[/MASK]", yes, "add a routed address"),
    also<Addresses, &S::ip_address>("IP_ADDRESS", "ip", "ADDRESS[/MASK]", true, "as --ipadd",
                                   parse_list<Addresses, &S::ip_address>),
    also<Addresses, &S::ip_address>("IP_ADDRESS", "ipdel", "ADDRESS|all", true, "remove a routed address",
                                   remove_addresses),
    list<Interfaces, &S::netif>("NETIF", "netif_add",
                              "IFNAME[,MAC,...,...,BRIDGE]", yes, "add a network interface"),
    also<Interfaces, &S::netif>("NETIF", "netif_del", "IFNAME|all", true, "remove a network interface",
                                remove_interfaces),
    also<Interfaces, &S::netif>("NETIF", "ifname", "IFNAME", true,
                                "change it by --mac, --host_ifname, --host_mac, --bridge, --mac_filter", edit_interface),
    list<NetDevs, &S::netdev>("NETDEV", "netdev_add", "IFNAME", yes, "move a network device of the host's into it"),
    also<NetDevs, &S::netdev>("NETDEV", "netdev_del", "IFNAME|all", true, "give a network device back", remove_netdevs),
    new_list<Nameservers, &S::nameserver>("NAMESERVER", "nameserver", "ADDRESS|inherit", yes, "name servers"),
    new_list<SearchDomains, &S::searchdomain>("SEARCHDOMAIN", "searchdomain",
                                       "DOMAIN|inherit", yes, "DNS search list"),

    one<Pages, &S::physpages>("PHYSPAGES", "physpages", "PAGES[:PAGES]", yes, "memory"),
    also<Pages, &S::physpages>("PHYSPAGES", "ram", "BYTES", false, "memory, as PHYSPAGES 0:N",
                               parse_scalar<Memory, &S::physpages>),
    one<Pages, &S::swappages>("SWAPPAGES", "swappages", "PAGES[:PAGES]", yes, "swap space"),
    also<Pages, &S::swappages>("SWAPPAGES", "swap", "BYTES", false, "swap space, as SWAPPAGES 0:N",
                               parse_scalar<Memory, &S::swappages>),
    one<Items, &S::numproc>("NUMPROC", "numproc", "N[:N]", yes, "processes and threads"),
    one<CpuUnits, &S::cpuunits>("CPUUNITS", "cpuunits", "N", yes, "CPU weight, 8 to 500000"),
    one<Cpu, &S::cpulimit>("CPULIMIT", "cpulimit", "N|N%", yes, "percent of one CPU, with % of the host, 0: none"),
    one<CpuCount, &S::cpus>("CPUS", "cpus", "N", yes, "CPUs it may use at once; 0: all"),
    one<CpuList, &S::cpumask>("CPUMASK", "cpumask", "LIST|all|auto", yes, "CPUs that it runs on; auto: those of --nodemask"),
    one<NumberList, &S::nodemask>("NODEMASK", "nodemask", "LIST|all", yes, "NUMA nodes that it has its memory on"),
    one<Rate<1>, &S::iolimit>("IOLIMIT", "", "BYTES", yes, "bytes it reads, and writes, in a second; 0: no limit"),
    also<Rate<1>, &S::iolimit>("IOLIMIT", "iolimit", "MB|SIZE", false, "as IOLIMIT, bare: MiB",
                               parse_scalar<Rate<1u << 20>, &S::iolimit>),
    one<Operations, &S::iopslimit>("IOPSLIMIT", "iopslimit", "N", yes, "its reads, and its writes, in a second; 0: no limit"),
    one<IoPriority, &S::ioprio>("IOPRIO", "ioprio", "0..7", yes, "its weight on its disk, where the scheduler has weights"),
    one<Blocks, &S::diskspace>("DISKSPACE", "diskspace", "BLOCKS[:BLOCKS]", yes, "disk space, bare: 1 KiB blocks"),
    one<Items, &S::diskinodes>("DISKINODES", "diskinodes", "N[:N]", yes, "files and directories"),

    list<Capabilities, &S::capability>("CAPABILITY", "capability", "NAME:on|off", restart, "a capability of its root"),
    list<DevNodes, &S::devnodes>("DEVNODES", "devnodes", "NAME:r|w|rw|none", yes, "a device of the host's in its /dev"),
    list<Devices, &S::devices>("DEVICES", "devices", "c:MAJOR:MINOR|all:r|w|rw|none", yes, "the same, by its number"),
    {"", "userpasswd", "USER:PASSWORD", "set a password in it", yes, true, check_userpasswd, print_nothing},
  };
}
// clang-format on

using Index = std::vector<std::pair<std::string_view, const Param*>>;

Index make_index(std::string_view Param::*name) {
  Index index;
  for (const Param& p : table())
    if (!(p.*name).empty()) index.emplace_back(p.*name, &p);
  std::sort(index.begin(), index.end());
  return index;
}

const Param* find(const Index& index, std::string_view name) {
  const auto at = std::lower_bound(index.begin(), index.end(), name,
                                   [](const auto& row, std::string_view n) { return row.first < n; });
  return at != index.end() && at->first == name ? at->second : nullptr;
}

bool is_deletion(const Param& p) { return p.option.ends_with("del"); }

}  // namespace

const std::vector<Param>& table() {
  static const std::vector<Param> kTable = [] {
    std::vector<Param> all = make_table();
    for (Param& p : kept_params()) all.push_back(p);
    return all;
  }();
  return kTable;
}

const Param* find_option(std::string_view option) {
  static const Index kIndex = make_index(&Param::option);
  return find(kIndex, option);
}

const Param* find_key(std::string_view key) {
  static const Index kIndex = make_index(&Param::key);
  return find(kIndex, key);
}

Result<void> apply(CtSpec& spec, const std::vector<Change>& changes) {
  std::vector<const Change*> ordered;
  ordered.reserve(changes.size());
  for (const Change& c : changes) ordered.push_back(&c);
  std::stable_partition(ordered.begin(), ordered.end(), [](const Change* c) { return is_deletion(*c->param); });
  std::vector<const Param*> emptied;
  for (const Change* c : ordered) {
    const Param* p = c->param;
    if (p->reset && std::find(emptied.begin(), emptied.end(), p) == emptied.end()) {
      p->reset(spec);
      emptied.push_back(p);
    }
    TRY(p->parse(spec, c->value), "Bad parameter for --{}", p->option);
  }
  return {};
}

}  // namespace vz::config
