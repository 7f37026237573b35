// ps(1) seen by containers: its words understood, its lines filtered. Pure.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/spec.h"

namespace vz::runtime {

struct PsRequest {
  bool of_containers = false;      // -E is there
  std::optional<std::string> ct;   // its value, if it has one
  std::vector<std::string> words;  // for ps, what we add included
  bool own_columns = false;        // the user chose them: ps tells the PID in a further first column, without header
  bool header = true;
};
// WORDS as ps takes them, in UNIX, BSD and GNU style, and -E [CTID]. IS_CT says of the word behind a bare -E whether it
// names a container.
PsRequest parse_ps(const std::vector<std::string>& words, const std::function<bool(const std::string&)>& is_ct);

// What ps printed for REQUEST as lines, without those of processes that KEEP is false of. Unless the user chose the
// columns, the number of the container is in front, in five characters, header included.
struct PsLine {
  std::string text;
  std::optional<config::CtId> ct;  // nullopt: the header
  pid_t pid = 0;
};
std::vector<PsLine> filter_ps(const PsRequest& request, std::string_view output,
                              const std::function<std::optional<config::CtId>(pid_t)>& container,
                              const std::function<bool(config::CtId)>& keep);

}  // namespace vz::runtime
