#include "net/link.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <net/if.h>

#include <array>
#include <charconv>

#include "base/strings.h"
#include "net/netlink.h"

namespace vz::net {

namespace {

// Statistics make up most of an answer, and nobody here reads them.
void leave_out_statistics(Message& m) { m.put_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS); }

}  // namespace

bool Link::up() const { return flags & IFF_UP; }
bool Link::loopback() const { return flags & IFF_LOOPBACK; }

Link parse_link(std::string_view payload) {
  const auto header = header_of<ifinfomsg>(payload);
  const Attributes a(payload, sizeof header);
  const Attributes info(a.bytes(IFLA_LINKINFO));
  Link l;
  l.index = header.ifi_index;
  l.flags = header.ifi_flags;
  l.name = a.text(IFLA_IFNAME);
  l.alias = a.text(IFLA_IFALIAS);
  l.kind = info.text(IFLA_INFO_KIND);
  l.kind_data = std::string(info.bytes(IFLA_INFO_DATA));
  if (a.bytes(IFLA_ADDRESS).size() == 6) l.mac = mac_text(a.bytes(IFLA_ADDRESS));
  l.mtu = a.u32(IFLA_MTU);
  l.txqlen = a.u32(IFLA_TXQLEN);
  l.group = a.u32(IFLA_GROUP);
  l.master = static_cast<int>(a.u32(IFLA_MASTER));
  l.lower = static_cast<int>(a.u32(IFLA_LINK));
  const Attributes families(a.bytes(IFLA_AF_SPEC));
  l.conf4 = std::string(Attributes(families.bytes(AF_INET)).bytes(IFLA_INET_CONF));
  l.conf6 = std::string(Attributes(families.bytes(AF_INET6)).bytes(IFLA_INET6_CONF));
  l.lower_is_foreign = a.has(IFLA_LINK_NETNSID);
  return l;
}

Result<std::vector<Link>> list_links(Netlink& socket) {
  Message m(RTM_GETLINK, 0, ifinfomsg{});
  leave_out_statistics(m);
  TRY_AS(const auto objects, socket.dump(m), "list the network devices");
  std::vector<Link> links;
  for (const std::string& o : objects) links.push_back(parse_link(o));
  return links;
}

Result<Link> find_link(Netlink& socket, const std::string& name) {
  Message m(RTM_GETLINK, 0, ifinfomsg{});
  m.put_text(IFLA_IFNAME, name);
  leave_out_statistics(m);
  auto object = socket.get(m);
  if (object) return parse_link(*object);
  if (object.error().sys_errno == ENODEV) return fail(Code::not_found, "there is no network device '{}'", name);
  return std::move(object.error()).context(fmt::format("network device '{}'", name));
}

std::string mac_bytes(std::string_view text) {
  std::string out;
  for (const std::string_view part : split(text, ':')) {
    unsigned v = 0;
    std::from_chars(part.data(), part.data() + part.size(), v, 16);
    out += static_cast<char>(v);
  }
  return out;
}

std::string mac_text(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{}{:02X}", out.empty() ? "" : ":", static_cast<unsigned char>(c));
  return out;
}

Result<std::string> address_bytes(const config::IpAddress& address) {
  std::array<char, 16> raw;
  if (::inet_pton(address.v6 ? AF_INET6 : AF_INET, address.address.c_str(), raw.data()) != 1)
    return fail(Code::bad_address, "'{}' is not an IP{} address", printable(address.address), address.v6 ? "v6" : "v4");
  return std::string(raw.data(), address.v6 ? 16 : 4);
}

std::string address_text(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (bytes.size() != 4 && bytes.size() != 16) return {};
  (void)::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

}  // namespace vz::net
