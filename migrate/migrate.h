// Moving a container to another host, stopped or running. Two ends: send() here, receive() there ("vzmigrate receive",
// started through ssh). Until the destination has it running, any failure gives the CT back here as it was and leaves
// nothing there; from then on there is no way back, only warnings.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "migrate/peer.h"
#include "runtime/container.h"

namespace vz::migrate {

struct Options {
  bool online = false;
  bool lazy = false;                                         // --lazy: the memory follows the running CT
  std::optional<unsigned> precopy = {};                      // --precopy: rounds at most; not given: as it pays
  std::optional<std::chrono::milliseconds> max_freeze = {};  // --max-freeze: rather give up than exceed it
  uint64_t bwlimit = 0;     // --bwlimit: bytes a second, as long as nobody waits for what is copied; 0: any
  bool remove_area = true;  // -r: destroy the source afterwards, or keep it as CTID.conf.migrated
  bool keep_dst = false;    // a failed move leaves the copied area there for the next try
  bool check_only = false;
  bool times = false;
};

// Says what it does; the CT is locked by the caller.
Result<void> send(const runtime::Host& host, const runtime::Container& ct, const Address& to, const Options& options);

// Where a moving container's images lie, on a tmpfs of their own, on either host.
std::string images_dir(const runtime::Host& host, config::CtId id);
// Makes it anew, empty; the directory above lets nobody else in.
Result<void> make_images_dir(const std::string& images);
Result<void> remove_images_dir(const std::string& images);

// The destination's end, on IN and OUT; returns when the other side is done or gone.
Result<void> receive(const runtime::Host& host, int in, int out);

}  // namespace vz::migrate
