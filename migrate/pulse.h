// A sign of life to the other side, which ends by itself when it hears nothing for long (kSilence).
#pragma once

#include <functional>

#include "base/result.h"
#include "migrate/wire.h"

namespace vz::migrate {

// Says "alive" on WIRE while WORK takes its time; WORK must not use WIRE.
Result<void> keeping_alive(const Wire& wire, const std::function<Result<void>()>& work);

}  // namespace vz::migrate
