// What a container is doing, as `vzctl status` and vzlist tell it.
#pragma once

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

struct Status {
  bool exists = false;  // CTID.conf and the private area are there
  bool mounted = false;
  bool running = false;
  bool suspended = false;  // not running, and a dump is there
};
Status status_of(const Host& host, const Container& ct);
Status status_of(const Host& host, const Container& ct, bool running);  // for who has looked already

}  // namespace vz::runtime
