// The source's part when a move is over, one way or the other. The CT's lock is held by the caller. Both can be done
// again by whoever finds them half done.
#pragma once

#include "base/result.h"
#include "runtime/container.h"

namespace vz::migrate {

// The CT stays: if it still runs it goes on, in the network, also after a dump whose criu was killed.
Result<void> go_on(const runtime::Host& host, const runtime::Container& ct);

// The CT is the other host's: nothing of it stays here but, without REMOVE_AREA, its files and CTID.conf.migrated.
// Nothing fails the move any more: the first thing that cannot be removed is the error.
Result<void> retire(const runtime::Host& host, const runtime::Container& ct, bool remove_area);

}  // namespace vz::migrate
