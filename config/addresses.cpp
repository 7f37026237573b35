#include <arpa/inet.h>

#include <bit>

#include "base/strings.h"
#include "config/codecs.h"

namespace vz::config {

namespace {

// "24", or for IPv4 also "255.255.255.0".
std::optional<unsigned> parse_mask(const std::string& text, bool v6) {
  const auto bits = text.size() <= 3 ? parse_u64(text) : std::nullopt;
  if (bits) return *bits <= (v6 ? 128u : 32u) ? std::optional<unsigned>(static_cast<unsigned>(*bits)) : std::nullopt;
  in_addr mask{};
  if (v6 || ::inet_pton(AF_INET, text.c_str(), &mask) != 1) return std::nullopt;
  const uint32_t host_order = ntohl(mask.s_addr);
  const auto ones = static_cast<unsigned>(std::countl_one(host_order));
  return ones + static_cast<unsigned>(std::countr_zero(host_order)) >= 32 ? std::optional<unsigned>(ones)
                                                                          : std::nullopt;
}

}  // namespace

Result<IpAddress> parse_ip(std::string_view text) {
  const auto bad = [&] { return fail(Code::invalid, "'{}' is not an IP address", printable(text)); };
  if (text.find('\0') != std::string_view::npos) return bad();
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  IpAddress ip;
  ip.v6 = address.find(':') != std::string::npos;
  const int family = ip.v6 ? AF_INET6 : AF_INET;
  unsigned char raw[sizeof(in6_addr)];
  char canonical[INET6_ADDRSTRLEN];
  if (::inet_pton(family, address.c_str(), raw) != 1 || !::inet_ntop(family, raw, canonical, sizeof canonical))
    return bad();
  ip.address = canonical;
  if (slash == std::string_view::npos) return ip;
  ip.prefix = parse_mask(std::string(text.substr(slash + 1)), ip.v6);
  if (!ip.prefix) return fail(Code::invalid, "'{}' has a bad mask", printable(text));
  return ip;
}

Result<void> check_assignable(const IpAddress& ip) {
  in6_addr six{};
  in_addr four{};
  ::inet_pton(ip.v6 ? AF_INET6 : AF_INET, ip.address.c_str(), ip.v6 ? static_cast<void*>(&six) : &four);
  const uint32_t first = ntohl(four.s_addr) >> 24;
  const bool bad6 = IN6_IS_ADDR_LOOPBACK(&six) || IN6_IS_ADDR_MULTICAST(&six) || IN6_IS_ADDR_V4MAPPED(&six);
  const bool bad4 = first == 0 || first == 127 || first >= 224;  // this network, loopback, multicast and reserved
  if (ip.v6 ? bad6 : bad4) return fail(Code::invalid, "{} cannot be the address of a container", ip.address);
  return {};
}

}  // namespace vz::config
