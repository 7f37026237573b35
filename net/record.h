// One object of the kernel (an address, a route, a firewall rule...) as the kernel itself described it: its family
// header and those attributes that also make sense in a request to create it. Kept as hexadecimal text, and read back
// as foreign input. What an attribute means is left to the kernel on both sides, so nothing that it knows is lost.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::net {

// Records are of this host's byte order.
constexpr const char* kByteOrder = std::endian::native == std::endian::little ? "little" : "big";

struct Kind {
  const char* name;  // for errors: "route"
  size_t header_size;
  std::vector<uint16_t> attributes;  // empty: all
};

struct Record {
  struct Attribute {
    uint16_t type = 0;  // with the kernel's flag bits (NLA_F_NESTED)
    std::string data;
    bool operator==(const Attribute&) const = default;
  };
  std::string header;
  std::vector<Attribute> attributes;

  const std::string* find(uint16_t type) const;
  void set(uint16_t type, std::string data);
  void erase(uint16_t type);
  uint32_t u32(uint16_t type) const;  // 0 when absent
  bool operator==(const Record&) const = default;

  // The header as the structure it is: read, change, put back.
  template <class Header>
  Header as() const {
    Header h{};
    __builtin_memcpy(&h, header.data(), header.size() < sizeof h ? header.size() : sizeof h);
    return h;
  }
  template <class Header>
  void put(const Header& h) {
    header.assign(reinterpret_cast<const char*>(&h), sizeof h);
  }
};

// From header and attributes as they stand in a message; attributes that KIND does not list are left out. Code::invalid
// when the bytes are not that.
Result<Record> parse_record(const Kind& kind, std::string_view bytes);
// The attributes inside one, without a header.
Result<Record> parse_nested(std::string_view bytes);
std::string record_bytes(const Record& record);

// In network order, which netfilter speaks.
std::string be32(uint32_t v);

std::string to_hex(std::string_view bytes);
std::optional<std::string> from_hex(std::string_view text);

}  // namespace vz::net
