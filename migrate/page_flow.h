// The destination's part of a move whose memory follows: pages come through a connection of their own, to the daemon
// that answers the restored container's faults.
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
  // From now on the connection may come, see connect_pages(). IMAGES is where criu's images will be.
  Result<void> listen(const std::string& images);
  bool wanted() const { return static_cast<bool>(listener_); }
  // Takes it and starts the daemon. A process of its own keeps what comes until it is asked for; should the connection
  // end before all memory is here, and MOVE be released, it kills the CT at once: what is missing of it is lost.
  Result<void> begin(const runtime::Host& host, const runtime::Container& ct, const std::string& move);
  Result<void> feed(std::string_view inventory) const { return daemon_.feed(inventory); }
  void release() { daemon_.release(); }
  // Until all memory is here. Code::peer: it is lost.
  Result<void> finish();

 private:
  std::string images_;
  sys::UniqueFd listener_;
  checkpoint::LazyPages daemon_;
  sys::Forked keeper_;
};

// "vzmigrate pages": passes our standard input and output on to the PageFlow that listens in IMAGES.
Result<void> connect_pages(const std::string& images);

}  // namespace vz::migrate
