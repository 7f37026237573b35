#include "migrate/pace.h"

#include <thread>

namespace vz::migrate {

void Pace::spend(size_t bytes) {
  if (rate_ == 0) return;
  spent_ += bytes;
  const std::chrono::duration<double> due(static_cast<double>(spent_) / static_cast<double>(rate_));
  std::this_thread::sleep_until(since_ + std::chrono::duration_cast<std::chrono::steady_clock::duration>(due));
}

}  // namespace vz::migrate
