#include <sys/random.h>
#include <time.h>

#include <algorithm>

#include "base/strings.h"
#include "net/link.h"
#include "net/net.h"

namespace vz::net {

namespace {

constexpr size_t kIfNameSize = 15;
constexpr unsigned kVenetIndex = 0;  // ethN has N + 1

uint32_t mixed(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return static_cast<uint32_t>(x ^ (x >> 31));
}

// CTIDs up to half a million get MACs that cannot collide with one another; beyond, 23 bits of a hash.
uint32_t mac_suffix(config::CtId id, unsigned index) {
  if (id < (1u << 19) && index < 16) return id << 4 | index;
  return (1u << 23) | (mixed(uint64_t{id} << 32 | index) & 0x7fffff);
}

// ethN has N, whatever else there is; the others get their place or the next free number.
std::vector<unsigned> numbers_of(const std::vector<config::NetIf>& netifs) {
  std::vector<std::optional<unsigned>> numbers;
  const auto taken = [&](unsigned n) { return std::find(numbers.begin(), numbers.end(), n) != numbers.end(); };
  for (const config::NetIf& n : netifs) {
    const auto number = eth_number(n.ifname);
    numbers.push_back(number && !taken(*number) ? number : std::nullopt);
  }
  std::vector<unsigned> out;
  for (size_t i = 0; i < numbers.size(); ++i) {
    unsigned free = static_cast<unsigned>(i);
    while (!numbers[i] && taken(free)) ++free;
    if (!numbers[i]) numbers[i] = free;
    out.push_back(*numbers[i]);
  }
  return out;
}

// "veth101.0", and with a shorter prefix where that would not fit.
std::string host_name(config::CtId id, unsigned number) {
  for (const char* prefix : {"veth", "vt", "v"}) {
    std::string name = fmt::format("{}{}.{}", prefix, id, number);
    if (name.size() <= kIfNameSize) return name;
  }
  return fmt::format("v{:x}.{:x}", id, number);
}

Veth veth_of(config::CtId id, const config::NetIf& n, unsigned number) {
  Veth v;
  v.ct_name = n.ifname;
  v.host_name = n.host_ifname.empty() ? host_name(id, number) : n.host_ifname;
  v.ct_mac = n.mac.empty() ? stable_mac(id, number + 1, false) : n.mac;
  v.host_mac = n.host_mac.empty() ? stable_mac(id, number + 1, true) : n.host_mac;
  v.bridge = n.bridge;
  return v;
}

}  // namespace

Plan plan(config::CtId id, const config::CtSpec& spec) {
  Plan p;
  const std::vector<config::NetIf> netifs = spec.netif.value_or(std::vector<config::NetIf>{});
  const std::vector<unsigned> numbers = numbers_of(netifs);
  for (size_t i = 0; i < netifs.size(); ++i) p.veths.push_back(veth_of(id, netifs[i], numbers[i]));
  if (!spec.ip_address || spec.ip_address->empty()) return p;
  Routed r;
  r.veth.ct_name = "venet0";
  r.veth.host_name = fmt::format("vnet.{}", id);
  r.veth.ct_mac = stable_mac(id, kVenetIndex, false);
  r.veth.host_mac = stable_mac(id, kVenetIndex, true);
  r.addresses = *spec.ip_address;
  p.routed = std::move(r);
  return p;
}

std::optional<unsigned> eth_number(std::string_view ifname) {
  if (!ifname.starts_with("eth")) return std::nullopt;
  const auto n = parse_u64(ifname.substr(3));
  return n && *n < 1000 ? std::optional(static_cast<unsigned>(*n)) : std::nullopt;
}

namespace {
std::string vendor_mac(uint32_t s, bool host_side) {
  return fmt::format("{}:18:51:{:02X}:{:02X}:{:02X}", host_side ? "FE" : "00", s >> 16 & 0xff, s >> 8 & 0xff, s & 0xff);
}
}  // namespace

std::string stable_mac(config::CtId id, unsigned index, bool host_side) {
  return vendor_mac(mac_suffix(id, index), host_side);
}

std::string random_mac(bool host_side) {
  uint32_t bits = 0;
  if (::getrandom(&bits, sizeof bits, 0) != sizeof bits) bits = static_cast<uint32_t>(::time(nullptr));
  return vendor_mac(bits, host_side);
}

bool valid_ifname(std::string_view text) {
  if (text.empty() || text.size() > kIfNameSize || text == "." || text == "..") return false;
  return std::none_of(text.begin(), text.end(), [](char c) { return c == '/' || c == ':' || c <= ' ' || c == '\x7f'; });
}

}  // namespace vz::net
