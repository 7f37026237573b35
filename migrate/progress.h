// How far a copy is: one line on the terminal, redrawn, and gone when it is over; or events.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "migrate/beside.h"
#include "sys/unique_fd.h"

namespace vz::migrate {

class Progress {
 public:
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { end(); }

  // WHAT is copied, TOTAL bytes of it (0: nobody knows). Does nothing where nobody looks: without events in a
  // pipe, with --quiet, and when several containers share the terminal.
  Result<void> begin(std::string what, uint64_t total);
  // For the output of rsync --info=progress2 --no-human-readable. Empty: not wanted.
  std::optional<int> fd() const;
  // For other copies: so many bytes of all.
  void report(uint64_t done) const;
  void end();

 private:
  sys::UniqueFd pipe_;
  Beside drawer_;
};

// The last whole number of bytes in a piece of that output. Pure.
std::optional<uint64_t> bytes_done(std::string_view output);
// "WHAT: 45 %, 119 of 265 MiB, 33 MiB/s, 0:05 left". Pure.
std::string progress_line(std::string_view what, uint64_t done, uint64_t total, std::chrono::duration<double> took);

}  // namespace vz::migrate
