// Keeps a transfer to a rate.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace vz::migrate {

class Pace {
 public:
  explicit Pace(uint64_t bytes_per_second = 0) : rate_(bytes_per_second) {}  // 0: as fast as it goes
  // After so many BYTES more: waits for as long as it takes that there were not too many since it was made.
  void spend(size_t bytes);

 private:
  uint64_t rate_, spent_ = 0;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

}  // namespace vz::migrate
