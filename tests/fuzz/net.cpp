// What a destination is sent of a guest's network, which the guest and the source had a hand in: the first byte says in
// what place the rest stands.
#include "net/conntrack.h"
#include "net/state.h"

#include <cstddef>
#include <cstdint>

#include "base/strings.h"
#include "fuzz.h"

namespace {

using namespace vz;

void read_state(std::string_view text) {
  const auto state = net::parse_state(text);
  if (!state) return;
  const std::string printed = net::print_state(*state);
  const auto again = net::parse_state(printed);
  fuzz::must(again && net::print_state(*again) == printed, "reads back as something else", "state");
}

void read_connections(std::string_view text) {
  const auto connections = net::parse_connections(text);
  if (!connections) return;
  for (const net::Record& c : *connections) (void)net::connection_request(c);
  const auto again = net::parse_connections(net::print_connections(*connections));
  fuzz::must(again && *again == *connections, "reads back as something else", "connections");
}

void read_record(std::string_view bytes) {
  if (const auto r = net::parse_record(net::connection_kind(), bytes)) (void)net::connection_request(*r);
  if (const auto r = net::parse_nested(bytes)) {
    const auto again = net::parse_nested(net::record_bytes(*r));
    fuzz::must(again && *again == *r, "reads back as something else", "record");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static const std::string empty = net::print_state({});
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  switch (data[0] % 6) {
    case 0:
      read_state(rest);
      break;
    case 1:
      read_connections(rest);
      break;
    case 2:
      read_record(rest);
      break;
    case 3:
      read_state(replace_all(empty, "[]", "[\"" + net::to_hex(rest) + "\"]"));
      break;
    case 4:
      read_state(replace_all(empty, "[]", "[" + std::string(rest) + "]"));
      break;
    default:
      read_connections(net::to_hex(rest) + "\n");
  }
  return 0;
}
