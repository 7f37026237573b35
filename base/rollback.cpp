#include "base/rollback.h"

#include "base/log.h"

namespace vz {

void Rollback::run() {
  for (; !steps_.empty(); steps_.pop_back())
    if (auto r = steps_.back().undo(); !r)
      log::warn("undo '{}' failed, continuing: {}", steps_.back().what, r.error().text);
}

}  // namespace vz
