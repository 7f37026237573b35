// What the two hosts tell each other before anything is touched, and what follows from it. Pure but for own_facts():
// JSON text in and out.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/spec.h"
#include "runtime/host.h"

namespace vz::migrate {

// A host, as far as a move cares.
struct HostFacts {
  uint32_t protocol = 0;
  std::string vessel, kernel, machine;  // machine: "x86_64"
  std::string criu;                     // version; empty: none that works, and why in criu_problem
  std::string criu_problem;
  std::set<std::string> cpu_flags;
  std::string no_fetching;  // checkpoint::cannot_fetch_pages()
};
std::string print(const HostFacts& facts);
Result<HostFacts> parse_facts(std::string_view json);
HostFacts own_facts(const runtime::Host& host);

// What is to be moved.
struct Offer {
  config::CtId id = 0;
  std::string conf;  // text of CTID.conf
  std::string live;  // the same as it runs: with what was set without --save
  bool online = false;
  uint64_t used_kib = 0, used_inodes = 0;  // of the private area
  uint64_t memory_kib = 0;                 // online: what its processes have of their own
};
std::string print(const Offer& offer);
Result<Offer> parse_offer(std::string_view json);

// Where it is copied to.
struct Landing {
  std::string root;
  int64_t until = 0;  // what is there already, of the OS template, was changed last at this time; 0: nothing is
};
std::string print(const Landing& landing);
Result<Landing> parse_landing(std::string_view json);

// One reason against the move; CODE as in vzmigrate(8).
struct Problem {
  Code code = Code::system;
  std::string text;
};
// What the two hosts' facts alone say.
std::vector<Problem> compare(const HostFacts& source, const HostFacts& destination, bool online);
// What the destination's MEMINFO (/proc/meminfo) says against OFFER.
std::optional<Problem> memory_problem(const Offer& offer, std::string_view meminfo);
std::string print(const std::vector<Problem>& problems);
Result<std::vector<Problem>> parse_problems(std::string_view json);

// Version text as numbers: "4.2.1" < "4.10".
bool older(std::string_view version, std::string_view than);

}  // namespace vz::migrate
