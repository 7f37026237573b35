// The nftables ruleset of a namespace, read and loaded as the kernel's own messages. Other than the text or JSON of
// nft(8) these are complete: iptables-nft's extension matches, counters, elements' remaining time and quotas survive;
// and no helper program is needed while a container is frozen.
#pragma once

#include <array>
#include <vector>

#include "base/result.h"
#include "net/record.h"

namespace vz::net {

class Netlink;

// In the order in which they have to be made.
enum class RulesetPart { tables, chains, objects, flowtables, sets, elements, rules };
constexpr std::array<const char*, 7> kRulesetParts = {"tables", "chains",   "objects", "flowtables",
                                                      "sets",   "elements", "rules"};
const Kind& ruleset_kind(RulesetPart part);

struct Ruleset {
  std::array<std::vector<Record>, kRulesetParts.size()> parts;
  std::vector<Record>& operator[](RulesetPart p) { return parts[static_cast<size_t>(p)]; }
  const std::vector<Record>& operator[](RulesetPart p) const { return parts[static_cast<size_t>(p)]; }
  bool empty() const { return (*this)[RulesetPart::tables].empty(); }
};

// SOCKET is of NETLINK_NETFILTER. A kernel without nftables has an empty ruleset.
Result<Ruleset> read_ruleset(Netlink& socket);
// In one transaction: all or nothing. A table of the same name is replaced.
Result<void> load_ruleset(Netlink& socket, const Ruleset& ruleset);
// Tables with which CRIU holds all packets back while it dumps: one that was killed leaves them.
Result<void> remove_locks(Netlink& socket);

// What iptables-nft says about a rule's protocol beside its expressions, and the kernel checks but does not give back:
// some extension matches (multiport, TCPMSS) are refused without it. Empty when the rule has no such match.
struct CompatProtocol {
  uint8_t protocol = 0;
  bool inverted = false;
  bool operator==(const CompatProtocol&) const = default;
};
std::optional<CompatProtocol> compat_protocol(const Record& rule);
// RULES with those of implicit chains ("jump { ... }", named in BOUND) first, inner ones before outer ones: such a
// chain is sealed by the rule that jumps to it.
std::vector<const Record*> loading_order(const std::vector<Record>& rules, std::vector<std::string> bound);

}  // namespace vz::net
