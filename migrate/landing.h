// A container on its destination before it is one: files, configuration and mount under other names, and the two ways
// on from there. The CT's lock is held by the caller. Everything can be done again by whoever finds it half done.
#pragma once

#include <cstdint>
#include <limits>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::migrate {

inline constexpr int64_t kAnyTime = std::numeric_limits<int64_t>::max();

// CT with the copy's private area (PRIVATE.migrating) in place of its own.
runtime::Container on_copy(const runtime::Container& ct);

// Keeps CT's configuration on the disk as CTID.conf.migrating, for whoever has to go on.
Result<void> keep_conf(const runtime::Host& host, const runtime::Container& ct);
// The container that keep_conf() kept. Code::no_ct_config: none.
Result<runtime::Container> kept_container(const runtime::Host& host, config::CtId id);

Result<void> forget_conf(const runtime::Host& host, config::CtId id);

// Part of the copy, or all, comes from the OS template that CT was made from; nothing of that was modified after UNTIL
// (0: nothing comes from there). Such files need a look at what they hold: noted as long as the copy is one.
Result<void> note_template(const runtime::Container& ct, int64_t until);
int64_t noted_template(const runtime::Container& ct);

// From a copy to a container: private area, name, configuration. Running or not.
Result<void> settle(const runtime::Host& host, const runtime::Container& ct);
// Ends and removes everything of it, settled or not. With KEEP_COPY the copied files stay, for the next try.
Result<void> abandon(const runtime::Host& host, const runtime::Container& ct, bool keep_copy);

}  // namespace vz::migrate
