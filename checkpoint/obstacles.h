// What stops a dump, found by looking at /proc only: cheap, and the container is not touched.
#pragma once

#include <sys/types.h>

#include <string>
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

// All of them, one for each process and reason; empty: nothing known. Code::not_running.
Result<std::vector<Obstacle>> obstacles(const runtime::Host& host, const runtime::Container& ct);

}  // namespace vz::checkpoint
