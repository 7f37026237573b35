// Child to parent during a start: one record per message (SOCK_SEQPACKET), end of file is a failure, and a failing
// child says so in its own words.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "sys/unique_fd.h"

namespace vz::sys {

class Channel {
 public:
  struct Pair;
  static Result<Pair> make();
  explicit Channel(UniqueFd fd) : fd_(std::move(fd)) {}

  // STEP is the caller's enum; 0 is reserved for a failure. FDS, kMaxFds at most, travel along.
  static constexpr size_t kMaxFds = 32;
  Result<void> post(int step, std::span<const int> fds = {}) const;
  Result<void> post_error(const Error& error) const;
  // The next message must be STEP. Errors: the peer's own (post_error), Code::peer when it died or is out of order.
  Result<std::vector<UniqueFd>> expect(int step) const;
  Result<UniqueFd> expect_fd(int step) const;  // one came along, and no more
  // exec in the child closes its end: end of file without a word is success here, and only here.
  Result<void> expect_exec() const;
  int fd() const { return fd_.get(); }
  void close() { fd_.reset(); }

 private:
  UniqueFd fd_;
};

struct Channel::Pair {
  Channel parent, child;
};

}  // namespace vz::sys
