// Memory of a running container, sent to a PageStore (page_store.h) in rounds before the container stands still.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "base/result.h"
#include "checkpoint/memory.h"
#include "checkpoint/page_source.h"
#include "checkpoint/write_tracker.h"

namespace vz::checkpoint {

class EarlyPages {
 public:
  // One more round through SOCKET: what the processes of TASKS have that is worth it, or have written since the last
  // one. Until the store has it; returns how many bytes that were, and calls SPENT for each some of them, with how many
  // they were on the wire. A process that cannot be watched is left for later. Code::peer: the store has hung up.
  Result<uint64_t> send_round(const Tasks& tasks, int socket, const std::function<void(size_t, size_t)>& spent);
  // All of TASKS stands still: what of its memory the store does not have as it is now.
  Result<Contents> rest(const Tasks& tasks) const;
  // For what is sent through the same connection later.
  PackingChoice& choice() { return choice_; }

 private:
  struct Watched {
    pid_t pid = 0;
    WriteTracker tracker;
    Ranges sent;  // and not known to be written since then
  };
  Result<uint64_t> send_task(uint64_t task, pid_t pid, Sender& sender,
                             const std::function<void(size_t, size_t)>& spent);

  std::map<uint64_t, Watched> watched_;
  PackingChoice choice_;
  uint64_t rounds_ = 0;
};

}  // namespace vz::checkpoint
