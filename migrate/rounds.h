// When to stop copying the memory of a running container, and to freeze it. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>

namespace vz::migrate {

struct Round {
  uint64_t bytes = 0;
  std::chrono::duration<double> took{};
};

constexpr unsigned kMostRounds = 10;
// Less than this is over in the freeze before a round of its own would pay.
constexpr uint64_t kLittleMemory = 32u << 20;

// Whether one more is due after DONE (the oldest first), of MOST at most. Not when what the last one brought would be
// over within a moment at the rate seen so far: the freeze has about as much to copy. Nor when rounds get no smaller:
// the guest writes as fast as it is copied.
bool another_round(std::span<const Round> done, unsigned most);

// What DONE, two rounds or more, tell: how many bytes the guest writes a second, and how long it takes to copy what it
// writes during such a round as the last one, which is what the freeze has left to copy.
struct Outlook {
  double written_per_second = 0;
  std::chrono::duration<double> left{};
};
std::optional<Outlook> outlook(std::span<const Round> done);

}  // namespace vz::migrate
