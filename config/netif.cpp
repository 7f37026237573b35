#include <algorithm>

#include <fmt/format.h>

#include "base/strings.h"
#include "config/codecs.h"

namespace vz::config {

namespace {

bool hex_digit(char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); }

// No '%': the kernel would take "eth%d" as a pattern.
Result<std::string> parse_ifname(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("._-+").find(c) != std::string_view::npos;
  };
  if (text.empty() || text.size() > 15 || !std::all_of(text.begin(), text.end(), allowed) || text == "." ||
      text == ".." || text.front() == '-')
    return fail(Code::invalid, "'{}' is not an interface name (1 to 15 letters, digits, '._-+')", printable(text));
  if (text == "lo" || text == "all" || text == "default")
    return fail(Code::invalid, "'{}' is reserved and cannot name an interface", text);
  return std::string(text);
}

Result<std::string> parse_mac(std::string_view text) {
  if (valid_mac(text)) return to_upper(text);
  return fail(Code::invalid, "'{}' is not the MAC address of an interface (six hexadecimal bytes, not multicast)",
              printable(text));
}

Result<std::optional<bool>> parse_filter(std::string_view text) {
  if (text == "on" || text == "off") return std::optional<bool>(text == "on");
  return fail(Code::invalid, "mac_filter is 'on' or 'off', not '{}'", printable(text));
}

struct SubField {
  std::string_view name;
  Result<void> (*parse)(NetIf&, std::string_view);
  std::string (*print)(const NetIf&);  // empty: not given
};

template <auto Member, auto Parse>
Result<void> parse_member(NetIf& nic, std::string_view text) {
  TRY_AS(nic.*Member, Parse(text));
  return {};
}

template <auto Member, auto Parse>
constexpr SubField sub_field(std::string_view name) {
  return {name, parse_member<Member, Parse>, [](const NetIf& nic) { return nic.*Member; }};
}

// In the order in which they are stored.
constexpr SubField kSubFields[] = {
    sub_field<&NetIf::ifname, parse_ifname>("ifname"),
    sub_field<&NetIf::bridge, parse_ifname>("bridge"),
    sub_field<&NetIf::mac, parse_mac>("mac"),
    sub_field<&NetIf::host_ifname, parse_ifname>("host_ifname"),
    sub_field<&NetIf::host_mac, parse_mac>("host_mac"),
    {"mac_filter", parse_member<&NetIf::mac_filter, parse_filter>,
     [](const NetIf& nic) {
       return std::string(!nic.mac_filter ? "" : *nic.mac_filter ? "on" : "off");
     }},
};
// Their order in the option: ifname[,mac,host_ifname,host_mac,bridge].
constexpr const SubField* kOptionFields[] = {&kSubFields[0], &kSubFields[2], &kSubFields[3], &kSubFields[4],
                                             &kSubFields[1]};

// Sub-fields that are not ours (a newer tool's) are skipped.
Result<NetIf> parse_entry(std::string_view text) {
  NetIf nic;
  for (const std::string_view part : split(text, ',')) {
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos)
      return fail(Code::invalid, "'{}' in NETIF is not NAME=VALUE", printable(part));
    const std::string_view value = part.substr(equals + 1);
    for (const SubField& f : kSubFields)
      if (f.name == part.substr(0, equals) && !value.empty()) TRY(f.parse(nic, value));
  }
  if (nic.ifname.empty()) return fail(Code::invalid, "'{}' in NETIF has no ifname", printable(text));
  return nic;
}

}  // namespace

bool valid_mac(std::string_view text) {
  const std::string upper = to_upper(text);
  if (upper.size() != 17 || upper == "00:00:00:00:00:00") return false;
  for (size_t i = 0; i < upper.size(); ++i)
    if (i % 3 == 2 ? upper[i] != ':' : !hex_digit(upper[i])) return false;
  return std::string_view("13579BDF").find(upper[1]) == std::string_view::npos;
}

Result<void> check_netdev(std::string_view text) {
  TRY(parse_ifname(text));
  for (const std::string_view ours : {"venet", "tun", "tap", "lo"})
    if (text.starts_with(ours))
      return fail(Code::invalid, "'{}': a name that begins with '{}' is no device to be moved", text, ours);
  return {};
}

Result<NetIf> parse_netif_option(std::string_view text) {
  const auto parts = split(text, ',');
  if (parts.empty() || parts[0].empty() || parts.size() > std::size(kOptionFields))
    return fail(Code::invalid, "'{}' is not ifname[,mac,host_ifname,host_mac,bridge]", printable(text));
  NetIf nic;
  for (size_t i = 0; i < parts.size(); ++i)
    if (!parts[i].empty()) TRY(kOptionFields[i]->parse(nic, parts[i]));
  return nic;
}

Result<std::vector<NetIf>> parse_netif_value(std::string_view text) {
  std::vector<NetIf> out;
  for (const std::string_view entry : split(text, ';')) {
    if (trim(entry).empty()) continue;
    TRY_AS(NetIf nic, parse_entry(trim(entry)));
    out.push_back(std::move(nic));
  }
  return out;
}

std::string print_netif_value(const std::vector<NetIf>& v) {
  std::string out;
  for (const NetIf& nic : v) {
    if (!out.empty()) out += ';';
    std::string_view comma;
    for (const SubField& f : kSubFields)
      if (const std::string value = f.print(nic); !value.empty()) {
        out += fmt::format("{}{}={}", comma, f.name, value);
        comma = ",";
      }
  }
  return out;
}

}  // namespace vz::config
