// The kernel's own description of its types, /sys/kernel/btf/vmlinux (Documentation/bpf/btf.rst). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace vz::cgroups {

class Btf {
 public:
  // BYTES must outlive it. Code::invalid.
  static Result<Btf> parse(std::string_view bytes);
  // The number of the type of that function.
  std::optional<uint32_t> function(std::string_view name) const;
  // In bytes from the beginning of the structure to its member, which may be in nameless ones within.
  std::optional<uint32_t> offset(std::string_view structure, std::string_view member) const;

 private:
  struct Type {
    uint32_t name, info, size_or_type;
    const char* more;  // what is behind: members
  };
  std::optional<uint32_t> offset_in(uint32_t type, std::string_view member, int depth) const;
  std::optional<uint32_t> find(uint32_t kind, std::string_view name) const;
  std::string_view text(uint32_t at) const;

  std::string_view strings_;
  std::vector<Type> types_;  // that of number N is at N - 1
};

}  // namespace vz::cgroups
