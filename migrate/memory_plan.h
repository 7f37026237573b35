// How the memory of a running container gets to the other host. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "migrate/migrate.h"

namespace vz::migrate {

// What keeps the two hosts from each way; empty: nothing.
struct MemoryFacts {
  uint64_t bytes = 0;               // that the CT has
  std::string no_write_tracking{};  // checkpoint::cannot_track_writes(), here
  std::string no_image_rounds{};    // checkpoint::cannot_track_memory(), here
  std::string no_keeping{};         // checkpoint::cannot_keep_pages(), here
  std::string no_fetching{};        // checkpoint::cannot_fetch_pages(), there
};

struct MemoryPlan {
  // Pages go to a store there, which answers the restored container's faults: nothing waits for their restore.
  // Otherwise they are in criu's images.
  bool pages = false;
  bool follows = false;   // what the rounds have not brought comes when it runs there
  unsigned rounds = 0;    // beforehand, at most
  std::string note{};     // for the user; empty: nothing to be said
  std::string problem{};  // what was asked for cannot be done
};

MemoryPlan plan_memory(const Options& options, const MemoryFacts& facts);

}  // namespace vz::migrate
