// vzlist's columns: one row each, walked by the table, the sort, -L and JSON.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"
#include "runtime/container.h"
#include "runtime/status.h"

namespace vz::cli {

// One container with what was looked up about it so far.
class Listed {
 public:
  Listed(const runtime::Host& host, runtime::Container container)
      : ct(std::move(container)),
        running(state::running(host.paths, ct.id)),
        status(runtime::status_of(host, ct, running.has_value())) {}

  runtime::Container ct;
  std::optional<state::Running> running;
  runtime::Status status;

  const char* status_word() const;  // running, mounted, suspended, stopped
  // Groups are read once, when the first column asks; nullopt when not running.
  const std::optional<cgroups::Usage>& usage() const;
  std::optional<uint64_t> pids() const;  // the default table needs no more of usage()

 private:
  mutable std::optional<std::optional<cgroups::Usage>> usage_;
};

struct Field {
  std::string_view name, header;
  int width;                           // negative: left-aligned
  bool in_json;                        // part of -j without -o
  std::string (*text)(const Listed&);  // "-" when unset
  Json (*json)(const Listed&);
};

std::span<const Field> list_fields();
const Field* find_field(std::string_view name);

}  // namespace vz::cli
