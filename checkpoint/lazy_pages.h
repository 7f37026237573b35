// Memory that comes after its container: criu's "lazy pages" daemon answers the page faults of a restored container
// (userfaultfd(2)) from the host that still has its memory. Source: criu.org/Lazy_migration.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/host.h"
#include "sys/process.h"

namespace vz::checkpoint {

// What keeps this host from restoring so, from holding frozen memory for another; empty: nothing.
std::string cannot_fetch_pages();
std::string cannot_keep_pages();

class LazyPages {
 public:
  LazyPages() = default;
  LazyPages(const LazyPages&) = delete;
  LazyPages& operator=(const LazyPages&) = delete;
  ~LazyPages();  // ends what was not released

  // Starts the daemon for the images in DIR; it waits for feed(). It asks for pages over SOCKET, whose other end,
  // OTHER, it holds open as well: if everybody else lets go of that, the container stands still at its next fault,
  // instead of reading zeroes.
  Result<void> start(const runtime::Host& host, const std::string& dir, int socket, int other);
  // All images are in DIR but for the one that criu reads first, INVENTORY. When this returns criu may restore.
  Result<void> feed(std::string_view inventory) const;
  // The container runs: the daemon stays, whatever becomes of us.
  void release() { released_ = true; }
  // Readable when it has ended.
  int pidfd() const { return daemon_.pidfd.get(); }
  // Until all memory is there. An error: some of it never will be.
  Result<void> finish();

 private:
  std::string dir_;
  sys::Forked daemon_;
  sys::UniqueFd ready_;
  bool released_ = false;
};

// The process that has to do with memory that is still on its way, on either host, is on record in the directory of the
// images: for whoever finds them. Ends it, waits for it; nothing to do is success.
Result<void> note_lazy_pages(const std::string& dir, pid_t pid);
Result<void> end_lazy_pages(const std::string& dir);
Result<void> await_lazy_pages(const std::string& dir);

}  // namespace vz::checkpoint
