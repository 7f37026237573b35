// Bytes from one descriptor to another, both ways.
#pragma once

#include "base/result.h"

namespace vz::migrate {

struct Duplex {
  int in, out;  // the same for a socket
};
// Until A or B ends. Code::peer when A ended first.
Result<void> pump(Duplex a, Duplex b);

}  // namespace vz::migrate
