// The files that /run/vz/proc shows, which an OpenVZ kernel has in /proc: user_beancounters, vz/ and bc/.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/host.h"

namespace vz::runtime {

struct ProcNode {
  uint64_t number = 0;  // of it and nothing else, as long as its container runs
  std::string name;
  mode_t mode = 0;  // kind and rights
};
constexpr uint64_t kProcRoot = 1;

// nullopt: there is none, or not any more.
std::optional<ProcNode> proc_node(const state::Paths& paths, uint64_t number);
std::optional<ProcNode> proc_child(const state::Paths& paths, uint64_t dir, std::string_view name);
// A slash between names; "" and "/" are the root.
std::optional<ProcNode> proc_find(const state::Paths& paths, std::string_view path);
std::vector<ProcNode> proc_list(const state::Paths& paths, uint64_t dir);
// What is in it now. Code::not_found.
Result<std::string> proc_text(uint64_t number);

}  // namespace vz::runtime
