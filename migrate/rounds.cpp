#include "migrate/rounds.h"

#include <algorithm>

namespace vz::migrate {

namespace {

constexpr double kMoment = 0.03;    // seconds
constexpr double kNoSmaller = 0.7;  // of the one before

// Small rounds tell more of criu's start than of the connection.
double bytes_per_second(std::span<const Round> done) {
  double best = 0;
  for (const Round& r : done)
    if (r.took.count() > 0) best = std::max(best, static_cast<double>(r.bytes) / r.took.count());
  return best;
}

}  // namespace

bool another_round(std::span<const Round> done, unsigned most) {
  if (done.size() >= most) return false;
  if (done.empty()) return true;
  const auto last = static_cast<double>(done.back().bytes);
  if (last <= bytes_per_second(done) * kMoment) return false;
  return done.size() < 2 || last < kNoSmaller * static_cast<double>(done[done.size() - 2].bytes);
}

std::optional<Outlook> outlook(std::span<const Round> done) {
  if (done.size() < 2) return std::nullopt;
  double bytes = 0, seconds = 0;  // in a round comes what was written in the one before
  for (size_t i = 1; i < done.size(); ++i) {
    bytes += static_cast<double>(done[i].bytes);
    seconds += done[i - 1].took.count();
  }
  const double rate = bytes_per_second(done);
  if (rate <= 0 || seconds <= 0) return std::nullopt;
  const double written = bytes / seconds;
  return Outlook{written, done.back().took * (written / rate)};
}

}  // namespace vz::migrate
