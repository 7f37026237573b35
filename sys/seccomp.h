// System call filters: a table of rules in, a loaded filter out (libseccomp).
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::sys {

struct SyscallRule {
  std::string_view name;
  int error;                    // errno the caller gets
  uint64_t forbidden_bits = 0;  // 0: always refused; else refused when argument ARG has one of these bits
  unsigned arg = 0;
};

// Builds a filter that allows everything but RULES, on the native architecture and its 32-bit twins, as a classic BPF
// program (struct sock_filter[]) ready for load_filter. Names the library does not know are skipped.
Result<std::vector<uint64_t>> compile_filter(const std::vector<SyscallRule>& rules);
// Loads it into this process for good; needs CAP_SYS_ADMIN in the user namespace (no_new_privs stays off: a guest has
// setuid programs).
Result<void> load_filter(const std::vector<uint64_t>& program);

}  // namespace vz::sys
