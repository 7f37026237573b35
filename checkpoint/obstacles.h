// What stops a dump, found by looking at /proc only: cheap, and the container is not touched.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::checkpoint {

struct Obstacle {
  pid_t pid = 0;             // on the host
  std::string command = {};  // of the process, printable
  std::string unit = {};     // of the guest's systemd that it belongs to; may be empty
  std::string why = {};      // "has a socket of protocol MPTCP, which criu cannot dump"
  std::string remedy = {};   // what to do about it
};
// "process 4711 (worker, app.service) WHY: REMEDY"
std::string text(const Obstacle& o);

// Where a guest sees mounts of the host's, which CTID.mount may have made: criu has nothing to make them from. Texts of
// mountinfo; those that every guest has are none.
std::vector<std::string> foreign_mounts(std::string_view guest, std::string_view host);

// All of them, one for each process and reason; empty: nothing known. Code::not_running.
Result<std::vector<Obstacle>> obstacles(const runtime::Host& host, const runtime::Container& ct);

}  // namespace vz::checkpoint
