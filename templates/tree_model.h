// The names an archive has made so far: the rules between entries, and the sums over them. unpack() asks it before it
// touches the disk; import() asks it alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"
#include "templates/entry.h"
#include "templates/templates.h"

namespace vz::templates {

class TreeModel {
 public:
  explicit TreeModel(const UnpackLimits& limits) : limits_(limits) {}

  // Code::invalid when ENTRY may not come here; otherwise it is remembered.
  Result<void> admit(const Entry& entry);
  // PATH leads, its symbolic links followed inside the tree, to a file that may be executed.
  bool is_program(std::string_view path) const;

 private:
  Result<void> count(const Entry& entry);
  Result<void> make_parents(std::string_view path);
  Result<void> place(const Entry& entry);

  UnpackLimits limits_;
  uint64_t entries_ = 0, bytes_ = 0, names_ = 0;
  struct Made {
    Entry::Kind kind;
    bool executable = false;
  };
  std::unordered_map<std::string, Made> made_;
  std::unordered_map<std::string, std::string> links_;  // texts of the symbolic links among them
};

}  // namespace vz::templates
