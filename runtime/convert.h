// The private area of a stopped container: from one layout into the other, and smaller.
#pragma once

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

// Copies all files into a new private area beside the old one, flushes it, and gives it the old one's name in one step;
// only then is the old one removed. On any error, and when killed, the old one is there as it was. Code::running,
// mounted, diskspace_unset, no_space (also when DISKSPACE is too small), convert_failed.
Result<void> convert(const Host& host, const Container& ct, config::Layout layout);
// What a killed convert left beside the private area.
Result<void> remove_half_converted(const Container& ct);

// Gives free blocks of an image back to the host, running or not; says how much. Code::no_private, compact_failed.
Result<void> compact(const Container& ct);

}  // namespace vz::runtime
