#include "config/kept_params.h"

#include <algorithm>

#include "base/literal.h"
#include "base/strings.h"
#include "config/codecs.h"

namespace vz::config {

namespace {

using namespace codec;

// What is wrong with them, in a sentence that follows the options' names.
constexpr std::string_view kMemory = "memory is limited as a whole, by --ram and --swap";
constexpr std::string_view kNotCounted = "Linux does not count that for a container";
constexpr std::string_view kImage = "a container's disk is an image of its own; --diskspace limits it";
constexpr std::string_view kOwnFirewall = "a container has a firewall of its own, and all of it";
constexpr std::string_view kForAll = "the kernel has such a feature for all containers or for none";

// Words of letters, digits and marks, no paths.
struct Words {
  static Result<std::string> parse(std::string_view text) {
    const auto fits = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view(" _:,.=+-").find(c) != std::string_view::npos;
    };
    if (text.find("..") != std::string_view::npos || !std::all_of(text.begin(), text.end(), fits))
      return fail(Code::invalid, "'{}' holds something else than words", printable(text));
    const auto all = words(text);
    return join({all.begin(), all.end()}, " ");
  }
  static std::string print(const std::string& v) { return v; }
};

struct Factor : Words {
  static Result<std::string> parse(std::string_view text) {
    const auto parts = split(text, '.');
    if (parts.empty() || parts.size() > 2 || !parse_u64(parts[0]) || (parts.size() == 2 && !parse_u64(parts[1])))
      return fail(Code::invalid, "'{}' is not a number", printable(text));
    return std::string(text);
  }
};

template <class Codec, Literal K>
Result<void> parse_kept(CtSpec& spec, std::string_view text) {
  TRY_AS(const auto value, Codec::parse(text));
  spec.kept.insert_or_assign(std::string(K.view()), Codec::print(value));
  return {};
}

template <Literal K>
std::optional<std::string> print_kept(const CtSpec& spec) {
  const auto at = spec.kept.find(K.view());
  return at == spec.kept.end() ? std::nullopt : std::optional(at->second);
}

template <class Codec, Literal K>
Param kept(std::string_view option, std::string_view arg, std::string_view why) {
  return {K.view(),      option,  arg, "kept, without effect", Live::save, false, parse_kept<Codec, K>,
          print_kept<K>, nullptr, why};
}

}  // namespace

// clang-format off
std::vector<Param> kept_params() {
  using Bytes = Limits<1>;
  using Items = Limits<kItems>;
  using Pages = Limits<kPageSize>;
  using Seconds = Number<uint64_t, 0, kYear>;
  using Count = Number<uint64_t, 0, UINT32_MAX>;
  return {
    kept<Bytes, "KMEMSIZE">("kmemsize", "BYTES[:BYTES]", kMemory),
    kept<Pages, "LOCKEDPAGES">("lockedpages", "PAGES[:PAGES]", kMemory),
    kept<Pages, "PRIVVMPAGES">("privvmpages", "PAGES[:PAGES]", kMemory),
    kept<Pages, "SHMPAGES">("shmpages", "PAGES[:PAGES]", kMemory),
    kept<Pages, "VMGUARPAGES">("vmguarpages", "PAGES[:PAGES]", kMemory),
    kept<Pages, "OOMGUARPAGES">("oomguarpages", "PAGES[:PAGES]", kMemory),
    kept<Bytes, "DCACHESIZE">("dcachesize", "BYTES[:BYTES]", kMemory),
    kept<Factor, "VM_OVERCOMMIT">("vm_overcommit", "FACTOR", kMemory),
    kept<Words, "MEMINFO">("meminfo", "none|MODE:N", kMemory),
    kept<Items, "NUMTCPSOCK">("numtcpsock", "N[:N]", kNotCounted),
    kept<Items, "NUMOTHERSOCK">("numothersock", "N[:N]", kNotCounted),
    kept<Items, "NUMFLOCK">("numflock", "N[:N]", kNotCounted),
    kept<Items, "NUMPTY">("numpty", "N[:N]", kNotCounted),
    kept<Items, "NUMSIGINFO">("numsiginfo", "N[:N]", kNotCounted),
    kept<Items, "NUMFILE">("numfile", "N[:N]", kNotCounted),
    kept<Items, "NUMIPTENT">("numiptent", "N[:N]", kNotCounted),
    kept<Items, "AVNUMPROC">("avnumproc", "N[:N]", kNotCounted),
    kept<Bytes, "TCPSNDBUF">("tcpsndbuf", "BYTES[:BYTES]", kNotCounted),
    kept<Bytes, "TCPRCVBUF">("tcprcvbuf", "BYTES[:BYTES]", kNotCounted),
    kept<Bytes, "OTHERSOCKBUF">("othersockbuf", "BYTES[:BYTES]", kNotCounted),
    kept<Bytes, "DGRAMRCVBUF">("dgramrcvbuf", "BYTES[:BYTES]", kNotCounted),
    kept<YesNo, "DISK_QUOTA">("diskquota", "yes|no", kImage),
    kept<Seconds, "QUOTATIME">("quotatime", "SECONDS", kImage),
    kept<Count, "QUOTAUGIDLIMIT">("quotaugidlimit", "N", kImage),
    kept<Words, "MOUNT_OPTS">("mount_opts", "OPTION,...", kImage),
    kept<Words, "IPTABLES">("iptables", "MODULE...", kOwnFirewall),
    kept<Words, "NETFILTER">("netfilter", "disabled|stateless|stateful|full", kOwnFirewall),
    kept<Words, "FEATURES">("features", "NAME:on|off", kForAll),
  };
}
// clang-format on

}  // namespace vz::config
