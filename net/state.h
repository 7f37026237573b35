// What save_state() gathers and restore_state() makes again, and its text form. The text is foreign input when it is
// read: it may come from another host, and a guest made what is in it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/link.h"
#include "net/record.h"
#include "net/ruleset.h"

namespace vz::net {

struct SavedLink {
  std::string
      role;  // the name in the plan (the guest may have changed it since); "lo"; empty: the guest made the device
  Link link;
};

struct State {
  std::vector<SavedLink> links;
  // By their paths below /proc/sys/net. A device's own one is left out when it is what "default" says.
  std::map<std::string, std::string> sysctls;
  std::vector<Record> addresses, routes, rules, neighbours;
  Ruleset ruleset;
  std::vector<std::string> unsupported;  // what could not be saved, a sentence each
};

// The JSON object has "version", "byte_order", "links", "sysctls", "addresses", "routes", "rules", "neighbours",
// "ruleset", "unsupported".
std::string print_state(const State& state);
// Code::invalid on anything that print_state() cannot have written.
Result<State> parse_state(std::string_view text);

// Kinds of devices that a guest makes and restore_state() can make again.
bool can_be_made(const std::string& kind);

}  // namespace vz::net
