// What the two hosts tell each other before anything is touched, and what follows from it. Pure: JSON text in and out.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/spec.h"

namespace vz::migrate {

// A host, as far as a move cares.
struct HostFacts {
  uint32_t protocol = 0;
  std::string vessel, kernel, machine;  // machine: "x86_64"
  std::string criu;                     // version; empty: none that works, and why in criu_problem
  std::string criu_problem;
  std::set<std::string> cpu_flags;
};
std::string print(const HostFacts& facts);
Result<HostFacts> parse_facts(std::string_view json);
// The running host's own.
HostFacts gather_facts(std::string_view criu, std::string_view criu_problem);

// What is to be moved.
struct Offer {
  config::CtId id = 0;
  std::string conf;  // text of CTID.conf
  std::string live;  // the same as it runs: with what was set without --save
  bool online = false;
  uint64_t used_kib = 0, used_inodes = 0;  // of the private area
};
std::string print(const Offer& offer);
Result<Offer> parse_offer(std::string_view json);

// One reason against the move; CODE as in vzmigrate(8).
struct Problem {
  Code code = Code::system;
  std::string text;
};
// What the two hosts' facts alone say.
std::vector<Problem> compare(const HostFacts& source, const HostFacts& destination, bool online);
std::string print(const std::vector<Problem>& problems);
Result<std::vector<Problem>> parse_problems(std::string_view json);

// Version text as numbers: "4.2.1" < "4.10".
bool older(std::string_view version, std::string_view than);

}  // namespace vz::migrate
