// The destination's part of a move whose memory goes to a page store: pages come through a connection of their own, to
// a process that keeps them for the daemon that answers the restored container's faults.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "checkpoint/lazy_pages.h"
#include "runtime/container.h"
#include "sys/unique_fd.h"

namespace vz::migrate {

class PageFlow {
 public:
  // HOST and CT must outlive this. From now on the connection may come, see connect_pages(), and pages with it, while
  // the CT still runs there. IMAGES is where criu's images will be. A process of its own keeps what comes; should the
  // connection end before all memory is here, and MOVE be released, it kills the CT at once: what is missing of it is
  // lost.
  Result<void> listen(const runtime::Host& host, const runtime::Container& ct, const std::string& move,
                      const std::string& images);
  bool wanted() const { return keeper_.pid > 0; }
  // Starts the daemon. Code::peer: the connection has not come.
  Result<void> begin();
  Result<void> feed(std::string_view inventory) const { return daemon_.feed(inventory); }
  // Until all memory is here. Code::peer: it does not come.
  Result<void> await_whole();
  // The CT runs: what is needed for its memory outlives us.
  void release() { daemon_.release(); }
  // Until the CT has all its memory. Code::peer: it has not, and was killed.
  Result<void> finish();

 private:
  Result<void> hear(char what, int patience_ms);

  const runtime::Host* host_ = nullptr;
  const runtime::Container* ct_ = nullptr;
  std::string images_;
  sys::UniqueFd its_, ours_;  // the ends of the daemon and of the keeper
  sys::UniqueFd news_;        // what the keeper has got
  checkpoint::LazyPages daemon_;
  sys::Forked keeper_;
};

// "vzmigrate pages": passes our standard input and output on to the PageFlow that listens in IMAGES.
Result<void> connect_pages(const std::string& images);

}  // namespace vz::migrate
