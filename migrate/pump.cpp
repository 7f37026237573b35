#include "migrate/pump.h"

#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "sys/files.h"

namespace vz::migrate {

namespace {
// One piece; false: the end of FROM.
Result<bool> pass(int from, int to) {
  std::array<char, 65536> buf;
  const ssize_t n = ::read(from, buf.data(), buf.size());
  if (n < 0) return errno == EINTR ? Result<bool>(true) : fail_sys(errno, "read");
  TRY(sys::write_all(to, {buf.data(), static_cast<size_t>(n)}));
  return n > 0;
}
}  // namespace

Result<void> pump(Duplex a, Duplex b) {
  for (;;) {
    pollfd p[2] = {{a.in, POLLIN, 0}, {b.in, POLLIN, 0}};
    if (::poll(p, 2, -1) < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (p[0].revents) {
      TRY_AS(const bool more, pass(a.in, b.out));
      if (!more) return fail(Code::peer, "the other host has hung up");
    }
    if (p[1].revents) {
      TRY_AS(const bool more, pass(b.in, a.out));
      if (!more) return {};
    }
  }
}

}  // namespace vz::migrate
