#include "migrate/pulse.h"

#include <poll.h>

#include <chrono>

#include "migrate/beside.h"

namespace vz::migrate {

namespace {

Result<void> beat(const Wire& wire, int enough) {
  for (;;) {
    pollfd p{enough, POLLIN, 0};
    if (::poll(&p, 1, std::chrono::milliseconds(kSilence / 4).count()) > 0) return {};
    TRY(wire.send("alive"));
  }
}

}  // namespace

Result<void> keeping_alive(const Wire& wire, const std::function<Result<void>()>& work) {
  Beside pulse;
  TRY(pulse.begin([&](int enough) { return beat(wire, enough); }));
  TRY(work());
  return pulse.finish();
}

}  // namespace vz::migrate
