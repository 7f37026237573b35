#include "net/record.h"

#include <arpa/inet.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>

namespace vz::net {

namespace {

size_t aligned(size_t n) { return (n + NLA_ALIGNTO - 1) & ~size_t{NLA_ALIGNTO - 1}; }

bool is(const Record::Attribute& a, uint16_t type) { return (a.type & NLA_TYPE_MASK) == type; }

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

}  // namespace

const std::string* Record::find(uint16_t type) const {
  const auto at = std::find_if(attributes.begin(), attributes.end(), [&](const Attribute& a) { return is(a, type); });
  return at == attributes.end() ? nullptr : &at->data;
}

void Record::set(uint16_t type, std::string data) {
  erase(type);
  attributes.push_back({type, std::move(data)});
}

void Record::erase(uint16_t type) {
  attributes.erase(
      std::remove_if(attributes.begin(), attributes.end(), [&](const Attribute& a) { return is(a, type); }),
      attributes.end());
}

uint32_t Record::u32(uint16_t type) const {
  const std::string* data = find(type);
  uint32_t v = 0;
  if (data && data->size() >= sizeof v) std::memcpy(&v, data->data(), sizeof v);
  return v;
}

Result<Record> parse_record(const Kind& kind, std::string_view bytes) {
  const auto bad = [&] { return fail(Code::invalid, "malformed {}", kind.name); };
  Record r;
  if (bytes.size() < kind.header_size) return bad();
  r.header = std::string(bytes.substr(0, kind.header_size));
  bytes.remove_prefix(std::min(bytes.size(), aligned(kind.header_size)));
  while (!bytes.empty()) {
    nlattr a{};
    if (bytes.size() < sizeof a) return bad();
    std::memcpy(&a, bytes.data(), sizeof a);
    if (a.nla_len < sizeof a || a.nla_len > bytes.size()) return bad();
    const uint16_t type = a.nla_type & NLA_TYPE_MASK;
    if (kind.attributes.empty() ||
        std::find(kind.attributes.begin(), kind.attributes.end(), type) != kind.attributes.end())
      r.attributes.push_back({a.nla_type, std::string(bytes.substr(sizeof a, a.nla_len - sizeof a))});
    bytes.remove_prefix(std::min(bytes.size(), aligned(a.nla_len)));
  }
  return r;
}

Result<Record> parse_nested(std::string_view bytes) {
  static const Kind kAnything = {"nested attribute", 0, {}};
  return parse_record(kAnything, bytes);
}

std::string record_bytes(const Record& record) {
  std::string out = record.header;
  out.resize(aligned(out.size()));
  for (const Record::Attribute& a : record.attributes) {
    nlattr h{};
    h.nla_len = static_cast<uint16_t>(sizeof h + a.data.size());
    h.nla_type = a.type;
    out.append(reinterpret_cast<const char*>(&h), sizeof h);
    out += a.data;
    out.resize(aligned(out.size()));
  }
  return out;
}

std::string be32(uint32_t v) {
  v = htonl(v);
  return {reinterpret_cast<const char*>(&v), sizeof v};
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 2);
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = nibble(text[i]), low = nibble(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
  }
  return out;
}

}  // namespace vz::net
