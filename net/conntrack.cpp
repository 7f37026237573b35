#include "net/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "net/netlink.h"
#include "net/sysctl.h"

namespace vz::net {

namespace {

constexpr size_t kMost = 16384;
constexpr uint32_t kOffloadedTimeout = 120;  // seconds; the kernel does not tell that of a flow in a flowtable
constexpr std::string_view kFirstLine = "connections 1";

// Counters, age and identity are the kernel's own. What helpers expect is not kept.
const Kind kKind = {"tracked connection",
                    sizeof(nfgenmsg),
                    {CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_PROTOINFO, CTA_TIMEOUT, CTA_MARK, CTA_ZONE,
                     CTA_LABELS, CTA_HELP}};

int type_of(int verb) { return NFNL_SUBSYS_CTNETLINK << 8 | verb; }

std::string byte(unsigned v) { return {static_cast<char>(v)}; }

void add_nested(Record& r, uint16_t type, const Record& nested) {
  r.attributes.push_back({static_cast<uint16_t>(type | NLA_F_NESTED), record_bytes(nested)});
}

std::optional<Record> nested_in(const Record& r, uint16_t type) {
  const std::string* bytes = r.find(type);
  if (!bytes) return std::nullopt;
  auto nested = parse_nested(*bytes);
  return nested ? std::optional<Record>(std::move(*nested)) : std::nullopt;
}

// ---- addresses ------------------------------------------------------------------------------------------------------

struct Tuple {
  Record all, address, protocol;
};

std::optional<Tuple> tuple_in(const Record& connection, uint16_t type) {
  auto all = nested_in(connection, type);
  if (!all) return std::nullopt;
  auto address = nested_in(*all, CTA_TUPLE_IP), protocol = nested_in(*all, CTA_TUPLE_PROTO);
  if (!address || !protocol) return std::nullopt;
  return Tuple{std::move(*all), std::move(*address), std::move(*protocol)};
}

void put_tuple(Record& connection, uint16_t type, Tuple t) {
  t.all.erase(CTA_TUPLE_IP);
  t.all.erase(CTA_TUPLE_PROTO);
  add_nested(t.all, CTA_TUPLE_IP, t.address);
  add_nested(t.all, CTA_TUPLE_PROTO, t.protocol);
  connection.erase(type);
  add_nested(connection, type, t.all);
}

struct Ends {
  uint16_t original, reply;  // of an untranslated connection these two are the same
};
struct Translation {
  uint32_t status;
  uint16_t request;
  Ends v4, v6, port;
};
constexpr Translation kTranslations[] = {
    {IPS_SRC_NAT,
     CTA_NAT_SRC,
     {CTA_IP_V4_SRC, CTA_IP_V4_DST},
     {CTA_IP_V6_SRC, CTA_IP_V6_DST},
     {CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT}},
    {IPS_DST_NAT,
     CTA_NAT_DST,
     {CTA_IP_V4_DST, CTA_IP_V4_SRC},
     {CTA_IP_V6_DST, CTA_IP_V6_SRC},
     {CTA_PROTO_DST_PORT, CTA_PROTO_SRC_PORT}},
};

// The kernel takes a connection for translated only when it translates it itself: it is given the reply's direction as
// it would be without, and the one address and port that there is to choose from.
bool ask_to_translate(const Translation& t, const Tuple& original, Tuple& reply, Record& request) {
  const bool v6 = original.address.find(t.v6.original) != nullptr;
  const Ends& ends = v6 ? t.v6 : t.v4;
  const std::string *address = reply.address.find(ends.reply), *port = reply.protocol.find(t.port.reply);
  const std::string *old_address = original.address.find(ends.original),
                    *old_port = original.protocol.find(t.port.original);
  if (!address || !port || !old_address || !old_port) return false;
  const Record ports = {"", {{CTA_PROTONAT_PORT_MIN, *port}, {CTA_PROTONAT_PORT_MAX, *port}}};
  Record range;
  range.attributes.push_back({static_cast<uint16_t>(v6 ? CTA_NAT_V6_MINIP : CTA_NAT_V4_MINIP), *address});
  range.attributes.push_back({static_cast<uint16_t>(v6 ? CTA_NAT_V6_MAXIP : CTA_NAT_V4_MAXIP), *address});
  add_nested(range, CTA_NAT_PROTO, ports);
  add_nested(request, t.request, range);
  reply.address.set(ends.reply, *old_address);
  reply.protocol.set(t.port.reply, *old_port);
  return true;
}

// ---- TCP ------------------------------------------------------------------------------------------------------------

bool is_tcp(const Tuple& t) {
  const std::string* number = t.protocol.find(CTA_PROTO_NUM);
  return number && *number == byte(IPPROTO_TCP);
}

// The kernel keeps the windows to itself, and takes every segment for an invalid one when they are wrong.
std::string liberal(const std::string* told) {
  constexpr unsigned kKept = IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM | IP_CT_TCP_FLAG_CLOSE_INIT;
  const unsigned kept = told && !told->empty() ? static_cast<uint8_t>(told->front()) & kKept : 0;
  const std::string flags = byte(kept | IP_CT_TCP_FLAG_BE_LIBERAL);
  return flags + flags;  // and as mask
}

// Nothing for one that is over. Of a flow in a flowtable the kernel tells no state: it is established.
std::optional<Record> tcp_request(const Record& connection) {
  Record tcp;
  if (connection.find(CTA_PROTOINFO)) {
    const auto info = nested_in(connection, CTA_PROTOINFO);
    auto told = info ? nested_in(*info, CTA_PROTOINFO_TCP) : std::nullopt;
    if (!told) return std::nullopt;
    tcp = std::move(*told);
  } else {
    tcp.set(CTA_PROTOINFO_TCP_STATE, byte(TCP_CONNTRACK_ESTABLISHED));
  }
  const std::string* state = tcp.find(CTA_PROTOINFO_TCP_STATE);
  if (!state || *state == byte(TCP_CONNTRACK_TIME_WAIT) || *state == byte(TCP_CONNTRACK_CLOSE)) return std::nullopt;
  for (const uint16_t flags : {CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, CTA_PROTOINFO_TCP_FLAGS_REPLY})
    tcp.set(flags, liberal(tcp.find(flags)));
  Record info;
  add_nested(info, CTA_PROTOINFO_TCP, tcp);
  return info;
}

}  // namespace

const Kind& connection_kind() { return kKind; }

std::optional<Record> connection_request(const Record& connection) {
  const uint32_t status = ntohl(connection.u32(CTA_STATUS));
  const auto original = tuple_in(connection, CTA_TUPLE_ORIG);
  auto reply = tuple_in(connection, CTA_TUPLE_REPLY);
  if (!original || !reply || status & IPS_DYING) return std::nullopt;
  Record request = connection;
  if (is_tcp(*original)) {
    const auto info = tcp_request(connection);
    if (!info) return std::nullopt;
    request.erase(CTA_PROTOINFO);
    add_nested(request, CTA_PROTOINFO, *info);
  }
  for (const Translation& t : kTranslations)
    if (status & t.status && !ask_to_translate(t, *original, *reply, request)) return std::nullopt;
  if (status & IPS_NAT_MASK) put_tuple(request, CTA_TUPLE_REPLY, std::move(*reply));
  // All others follow from the rest of the request, or are refused in it.
  request.set(CTA_STATUS, be32((status & (IPS_SEEN_REPLY | IPS_ASSURED)) | IPS_CONFIRMED));
  if (!request.find(CTA_TIMEOUT)) request.set(CTA_TIMEOUT, be32(kOffloadedTimeout));
  return request;
}

bool tracks_connections() {
  const auto count = read_sysctl("netfilter/nf_conntrack_count");
  return count && *count != "0";
}

Result<std::vector<Record>> read_connections(Netlink& socket) {
  std::vector<Record> out;
  const nfgenmsg any{AF_UNSPEC, NFNETLINK_V0, 0};
  TRY_AS(const auto told, socket.dump(Message(type_of(IPCTNL_MSG_CT_GET), 0, any)), "read the tracked connections");
  for (const std::string& t : told) {
    TRY_AS(Record r, parse_record(connection_kind(), t));
    if (connection_request(r)) out.push_back(std::move(r));
  }
  if (out.size() > kMost) {
    log::warn("the firewall tracks {} connections: only {} of them are kept", out.size(), kMost);
    out.resize(kMost);
  }
  return out;
}

Result<void> load_connections(Netlink& socket, const std::vector<Record>& connections) {
  std::vector<Message> requests;
  for (const Record& c : connections)
    if (const auto r = connection_request(c))
      requests.push_back(record_message(type_of(IPCTNL_MSG_CT_NEW), NLM_F_CREATE | NLM_F_EXCL, *r));
  TRY_AS(const size_t refused, socket.request_each(requests), "restore the tracked connections");
  if (const size_t lost = refused + connections.size() - requests.size(); lost > 0)
    log::detail("{} of {} tracked connections are not restored", lost, connections.size());
  return {};
}

std::string print_connections(const std::vector<Record>& connections) {
  std::string out = fmt::format("{} {}\n", kFirstLine, kByteOrder);
  for (const Record& c : connections) out += to_hex(record_bytes(c)) + "\n";
  return out;
}

Result<std::vector<Record>> parse_connections(std::string_view text) {
  std::vector<Record> out;
  if (text.empty()) return out;
  const auto lines = split(text, '\n');
  if (lines.size() < 2 || !lines.back().empty()) return fail(Code::invalid, "tracked connections: cut off");
  if (lines.front() != fmt::format("{} {}", kFirstLine, kByteOrder))
    return fail(Code::unsupported, "tracked connections: '{}' is not understood",
                printable(lines.front().substr(0, 64)));
  if (lines.size() - 2 > kMost) return fail(Code::invalid, "tracked connections: too many");
  for (size_t i = 1; i + 1 < lines.size(); ++i) {
    const auto bytes = from_hex(lines[i]);
    if (!bytes) return fail(Code::invalid, "tracked connections: not hexadecimal");
    TRY_AS(Record r, parse_record(connection_kind(), *bytes));
    out.push_back(std::move(r));
  }
  return out;
}

}  // namespace vz::net
