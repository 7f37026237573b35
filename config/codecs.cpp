#include "config/codecs.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/strings.h"

namespace vz::config::codec {

namespace {

template <class T, class Same>
void replace_or_append(std::vector<T>& list, T item, Same same) {
  const auto old = std::find_if(list.begin(), list.end(), [&](const T& t) { return same(t, item); });
  if (old == list.end())
    list.push_back(std::move(item));
  else
    *old = std::move(item);
}

Result<void> add_resolver_word(std::vector<std::string>& list, std::string word) {
  if (!list.empty() && (word == "inherit") != (list[0] == "inherit"))
    return fail(Code::invalid, "'inherit' stands alone, it cannot be combined with '{}'",
                word == "inherit" ? list[0] : word);
  if (std::find(list.begin(), list.end(), word) == list.end()) list.push_back(std::move(word));
  return {};
}

constexpr size_t kMostDevices = 16;

// What has neither right is taken from the list.
template <class Device>
Result<void> give_or_take(std::vector<Device>& list, Result<Device> given, bool (*same)(const Device&, const Device&)) {
  TRY_AS(Device device, std::move(given));
  std::erase_if(list, [&](const Device& d) { return same(d, device); });
  if (!device.read && !device.write) return {};
  if (list.size() == kMostDevices) return fail(Code::invalid, "more than {} devices", kMostDevices);
  list.push_back(std::move(device));
  return {};
}

bool same_node(const DevNode& a, const DevNode& b) { return a.name == b.name; }
bool same_number(const DeviceNumber& a, const DeviceNumber& b) { return a.number() == b.number(); }

}  // namespace

Result<std::string> Text::parse(std::string_view text) {
  const auto control = [](unsigned char c) { return (c < ' ' && c != '\t') || c == 127; };
  if (std::any_of(text.begin(), text.end(), control))
    return fail(Code::invalid, "'{}' holds a line break or another control character", printable(text));
  return std::string(text);
}

Result<std::string> Name::parse(std::string_view text) {
  if (!text.empty()) TRY(check_name(text));
  return std::string(text);
}

Result<std::string> Hostname::parse(std::string_view text) {
  TRY(check_hostname(text));
  return std::string(text);
}

Result<std::string> FileName::parse(std::string_view text) {
  const auto graphic = [](char c) { return c > ' ' && c <= '~' && c != '/'; };
  if (text.empty() || text.size() > 200 || text == "." || text == ".." ||
      !std::all_of(text.begin(), text.end(), graphic))
    return fail(Code::invalid, "'{}' is not a file name without a directory", printable(text));
  return std::string(text);
}

Result<std::string> Path::parse(std::string_view text) {
  TRY_AS(std::string path, Text::parse(text));
  while (!path.empty() && path.back() == '/') path.pop_back();
  if (path.empty() || path[0] != '/') return fail(Code::invalid, "'{}' is not an absolute path below /", text);
  const auto parts = split(path, '/');
  if (std::find(parts.begin(), parts.end(), "..") != parts.end())
    return fail(Code::invalid, "'{}' holds '..': write the path without it", text);
  if (path.size() >= 4096) return fail(Code::invalid, "the path is longer than 4095 characters");
  return path;
}

Result<bool> YesNo::parse(std::string_view text) {
  if (text == "yes" || text == "no") return text == "yes";
  return fail(Code::invalid, "'{}' is neither 'yes' nor 'no'", printable(text));
}

Result<uint64_t> parse_in_range(std::string_view text, uint64_t min, uint64_t max) {
  const auto v = parse_u64(text);
  if (!v || *v < min || *v > max)
    return fail(Code::invalid, "'{}' is not a number from {} to {}", printable(text), min, max);
  return *v;
}

Result<BarrierLimit> Memory::parse(std::string_view text) {
  TRY_AS(const uint64_t bytes, parse_size(text, 1));
  return BarrierLimit{0, bytes >= kUnlimited ? kUnlimited : bytes / kPageSize + (bytes % kPageSize != 0)};
}

Result<CpuLimit> Cpu::parse(std::string_view text) {
  constexpr uint64_t kMost = 1000000;
  CpuLimit v;
  v.of_host = !text.empty() && text.back() == '%';
  if (v.of_host) text.remove_suffix(1);
  TRY_AS(const uint64_t percent, parse_in_range(text, 0, v.of_host ? 100 : kMost));
  v.percent = static_cast<uint32_t>(percent);
  return v;
}

std::string Cpu::print(const CpuLimit& v) { return fmt::format("{}{}", v.percent, v.of_host ? "%" : ""); }

Result<NumberSet> NumberList::parse(std::string_view text) {
  constexpr uint32_t kMost = 8191;  // NR_CPUS of Debian's kernels
  if (text == "all") return NumberSet{};
  auto numbers = parse_numbers(text, kMost);
  if (!numbers) return fail(Code::invalid, "'{}' is no list such as 0-3,5", printable(text));
  return NumberSet{std::move(*numbers)};
}

std::string NumberList::print(const NumberSet& v) {
  return v.automatic ? "auto" : v.members.empty() ? "all" : print_numbers(v.members);
}

Result<NumberSet> CpuList::parse(std::string_view text) {
  return text == "auto" ? Result<NumberSet>(NumberSet{{}, true}) : NumberList::parse(text);
}

Result<Layout> LayoutName::parse(std::string_view text) {
  const std::string_view word = text.substr(0, text.find(':'));  // ploop:expanded, ploop:raw
  if (text == "dir" || text == "simfs") return Layout::dir;
  if (text == "image" || word == "ploop") return Layout::image;
  return fail(Code::invalid, "'{}' is not a layout: 'image' or 'dir'", printable(text));
}

Result<StopMode> StopModeName::parse(std::string_view text) {
  if (text == "suspend") return StopMode::suspend;
  if (text == "stop") return StopMode::stop;
  return fail(Code::invalid, "'{}' is neither 'suspend' nor 'stop'", printable(text));
}

Result<void> Addresses::add(std::vector<IpAddress>& list, std::string_view item) {
  TRY_AS(IpAddress ip, parse_ip(item));
  if (ip.address == "0.0.0.0" || ip.address == "::") return {};
  TRY(check_assignable(ip));
  replace_or_append(list, std::move(ip), [](const IpAddress& a, const IpAddress& b) { return a.address == b.address; });
  return {};
}

std::string Addresses::print(const std::vector<IpAddress>& list) {
  std::vector<std::string> parts;
  parts.reserve(list.size());
  for (const IpAddress& ip : list) parts.push_back(ip.text());
  return join(parts, " ");
}

Result<void> Interfaces::add(std::vector<NetIf>& list, std::string_view item) {
  std::vector<NetIf> given;
  if (item.find('=') != std::string_view::npos) {
    TRY_AS(given, parse_netif_value(item));
  } else {
    TRY_AS(NetIf nic, parse_netif_option(item));
    given.push_back(std::move(nic));
  }
  for (NetIf& nic : given)
    replace_or_append(list, std::move(nic), [](const NetIf& a, const NetIf& b) { return a.ifname == b.ifname; });
  return {};
}

Result<void> Nameservers::add(std::vector<std::string>& list, std::string_view item) {
  if (item == "inherit") return add_resolver_word(list, "inherit");
  TRY_AS(const IpAddress ip, parse_ip(item));
  if (ip.prefix) return fail(Code::invalid, "'{}': a name server is an address without a mask", printable(item));
  return add_resolver_word(list, ip.address);
}

std::string Nameservers::print(const std::vector<std::string>& list) { return join(list, " "); }

Result<void> SearchDomains::add(std::vector<std::string>& list, std::string_view item) {
  TRY(check_domain(item));
  return add_resolver_word(list, std::string(item));
}

Result<void> Capabilities::add(std::vector<Capability>& list, std::string_view item) {
  TRY_AS(Capability c, parse_capability(item));
  if (c.name == "ve_admin" || c.name == "setveid") return {};
  replace_or_append(list, std::move(c), [](const Capability& a, const Capability& b) { return a.name == b.name; });
  return {};
}

std::string Capabilities::print(const std::vector<Capability>& list) {
  std::vector<std::string> parts;
  parts.reserve(list.size());
  for (const Capability& c : list) parts.push_back(to_upper(c.name) + (c.on ? ":on" : ":off"));
  return join(parts, " ");
}

Result<void> DevNodes::add(std::vector<DevNode>& list, std::string_view item) {
  if (item != "none") return give_or_take(list, parse_devnode(item), same_node);
  list.clear();
  return {};
}

std::string DevNodes::print(const std::vector<DevNode>& list) {
  std::vector<std::string> parts;
  for (const DevNode& n : list) parts.push_back(fmt::format("{}:{}{}", n.name, n.read ? "r" : "", n.write ? "w" : ""));
  return join(parts, " ");
}

Result<void> Devices::add(std::vector<DeviceNumber>& list, std::string_view item) {
  if (item != "none") return give_or_take(list, parse_device(item), same_number);
  list.clear();
  return {};
}

std::string Devices::print(const std::vector<DeviceNumber>& list) {
  std::vector<std::string> parts;
  for (const DeviceNumber& d : list)
    parts.push_back(fmt::format("{}:{}{}", d.number(), d.read ? "r" : "", d.write ? "w" : ""));
  return join(parts, " ");
}

Result<void> NetDevs::add(std::vector<std::string>& list, std::string_view item) {
  TRY(check_netdev(item));
  if (std::find(list.begin(), list.end(), item) != list.end()) return {};
  if (list.size() == kMostDevices) return fail(Code::invalid, "more than {} devices", kMostDevices);
  list.emplace_back(item);
  return {};
}

Result<void> remove_netdevs(CtSpec& spec, std::string_view text) {
  if (!spec.netdev) spec.netdev.emplace();
  std::erase_if(*spec.netdev, [&](const std::string& name) { return text == "all" || name == text; });
  return {};
}

Result<void> remove_addresses(CtSpec& spec, std::string_view text) {
  if (!spec.ip_address) spec.ip_address.emplace();
  for (const std::string_view item : words(text)) {
    if (item == "all") {
      spec.ip_address->clear();
      continue;
    }
    TRY_AS(const IpAddress gone, parse_ip(item));
    std::erase_if(*spec.ip_address, [&](const IpAddress& ip) { return ip.address == gone.address; });
  }
  return {};
}

Result<void> remove_interfaces(CtSpec& spec, std::string_view text) {
  if (!spec.netif) spec.netif.emplace();
  std::erase_if(*spec.netif, [&](const NetIf& nic) { return text == "all" || nic.ifname == text; });
  return {};
}

Result<void> edit_interface(CtSpec& spec, std::string_view text) {
  const size_t comma = std::min(text.find(','), text.size());
  const std::string_view ifname = text.substr(0, comma);
  if (!spec.netif) spec.netif.emplace();
  const auto nic =
      std::find_if(spec.netif->begin(), spec.netif->end(), [&](const NetIf& n) { return n.ifname == ifname; });
  if (nic == spec.netif->end()) return fail(Code::invalid, "there is no interface '{}'", printable(ifname));
  TRY_AS(const auto edited, parse_netif_value(print_netif_value({*nic}) + std::string(text.substr(comma))));
  if (edited.size() != 1 || edited[0].ifname != ifname)
    return fail(Code::invalid, "'{}' is not one interface", printable(text));
  *nic = edited[0];
  return {};
}

}  // namespace vz::config::codec
