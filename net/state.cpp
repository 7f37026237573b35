#include "net/state.h"

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"
#include "net/net.h"
#include "net/objects.h"

namespace vz::net {

namespace {

constexpr int kVersion = 1;
constexpr size_t kMaxText = 64u << 20, kMaxSysctl = 256;

constexpr const char* kMakeable[] = {"bridge", "dummy", "macvlan", "vlan", "vrf"};

Json hex_list(const std::vector<Record>& records) {
  Json out = Json::array();
  for (const Record& r : records) out.push_back(to_hex(record_bytes(r)));
  return out;
}

Json link_json(const SavedLink& s) {
  const Link& l = s.link;
  return {{"role", s.role},
          {"name", l.name},
          {"index", l.index},
          {"kind", l.kind},
          {"mac", l.mac},
          {"alias", to_hex(l.alias)},
          {"flags", l.flags},
          {"mtu", l.mtu},
          {"txqlen", l.txqlen},
          {"group", l.group},
          {"master", l.master},
          {"lower", l.lower},
          {"data", to_hex(l.kind_data)}};
}

// ---- reading ------------------------------------------------------------------------------------------------------

Error bad(std::string_view what) { return fail(Code::invalid, "{}", what); }

Result<std::string> hex_at(const Json& j, const char* key) {
  auto bytes = from_hex(j.at(key).get_ref<const std::string&>());
  if (!bytes) return bad("not hexadecimal");
  return std::move(*bytes);
}

Result<std::vector<Record>> records_at(const Json& j, const char* key, const Kind& kind) {
  std::vector<Record> out;
  for (const Json& item : j.at(key)) {
    const auto bytes = from_hex(item.get_ref<const std::string&>());
    if (!bytes) return bad("not hexadecimal");
    TRY_AS(Record r, parse_record(kind, *bytes));
    out.push_back(std::move(r));
  }
  return out;
}

Result<SavedLink> link_at(const Json& j) {
  SavedLink s;
  s.role = j.at("role").get<std::string>();
  Link& l = s.link;
  l.name = j.at("name").get<std::string>();
  l.kind = j.at("kind").get<std::string>();
  l.mac = j.at("mac").get<std::string>();
  l.index = j.at("index").get<int>();
  l.flags = j.at("flags").get<uint32_t>();
  l.mtu = j.at("mtu").get<uint32_t>();
  l.txqlen = j.at("txqlen").get<uint32_t>();
  l.group = j.at("group").get<uint32_t>();
  l.master = j.at("master").get<int>();
  l.lower = j.at("lower").get<int>();
  TRY_AS(l.alias, hex_at(j, "alias"));
  TRY_AS(l.kind_data, hex_at(j, "data"));
  if (!valid_ifname(l.name) || (!s.role.empty() && !valid_ifname(s.role))) return bad("bad device name");
  if (!l.mac.empty() && !l.loopback() && !valid_mac(l.mac)) return bad("bad MAC address");
  if (l.index <= 0 || l.master < 0 || l.lower < 0) return bad("bad device number");
  if (l.alias.size() > 255 || l.kind_data.size() > 4096) return bad("device description too long");
  if (s.role.empty() && !can_be_made(l.kind)) return bad("a device of a kind that is not restored");
  return s;
}

Result<std::map<std::string, std::string>> sysctls_at(const Json& j) {
  std::map<std::string, std::string> out;
  for (const auto& [name, value] : j.at("sysctls").items()) {
    const std::string text = value.get<std::string>();
    const auto plain = [](char c) { return c == '\t' || (c >= ' ' && c <= '~'); };
    if (text.size() > kMaxSysctl || !std::all_of(text.begin(), text.end(), plain)) return bad("bad sysctl value");
    out.emplace(name, text);
  }
  return out;
}

Result<State> parse_object(const Json& j) {
  State s;
  if (j.at("version").get<int>() != kVersion)
    return fail(Code::unsupported, "version {}, only {} is understood", j.at("version").get<int>(), kVersion);
  if (j.at("byte_order").get<std::string>() != kByteOrder)
    return fail(Code::unsupported, "from a host with the other byte order");
  for (const Json& l : j.at("links")) {
    TRY_AS(SavedLink link, link_at(l));
    s.links.push_back(std::move(link));
  }
  TRY_AS(s.sysctls, sysctls_at(j));
  TRY_AS(s.addresses, records_at(j, "addresses", object_kind(ObjectKind::address)));
  TRY_AS(s.routes, records_at(j, "routes", object_kind(ObjectKind::route)));
  TRY_AS(s.rules, records_at(j, "rules", object_kind(ObjectKind::rule)));
  TRY_AS(s.neighbours, records_at(j, "neighbours", object_kind(ObjectKind::neighbour)));
  const Json& ruleset = j.at("ruleset");
  for (size_t i = 0; i < kRulesetParts.size(); ++i) {
    TRY_AS(s.ruleset.parts[i], records_at(ruleset, kRulesetParts[i], ruleset_kind(static_cast<RulesetPart>(i))));
  }
  s.unsupported = j.at("unsupported").get<std::vector<std::string>>();
  return s;
}

}  // namespace

std::string print_state(const State& s) {
  Json links = Json::array(), ruleset = Json::object(), unsupported = Json::array();
  for (const SavedLink& l : s.links) links.push_back(link_json(l));
  for (size_t i = 0; i < kRulesetParts.size(); ++i) ruleset[kRulesetParts[i]] = hex_list(s.ruleset.parts[i]);
  for (const std::string& u : s.unsupported) unsupported.push_back(printable(u));
  const Json j = {{"version", kVersion},
                  {"byte_order", kByteOrder},
                  {"links", links},
                  {"sysctls", s.sysctls},
                  {"addresses", hex_list(s.addresses)},
                  {"routes", hex_list(s.routes)},
                  {"rules", hex_list(s.rules)},
                  {"neighbours", hex_list(s.neighbours)},
                  {"ruleset", ruleset},
                  {"unsupported", unsupported}};
  return print_json(j);
}

Result<State> parse_state(std::string_view text) {
  if (text.size() > kMaxText) return bad("too long");
  return read_json(text, parse_object);
}

bool can_be_made(const std::string& kind) {
  return std::any_of(std::begin(kMakeable), std::end(kMakeable), [&](const char* k) { return kind == k; });
}

}  // namespace vz::net
