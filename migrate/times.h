// How long each phase of a move took, and the freeze among them.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/json.h"

namespace vz::migrate {

class Times {
 public:
  // Ends the phase that runs and begins another; FROZEN: the CT stands still meanwhile, and events wait.
  void begin(std::string phase, bool frozen);
  void end();
  double frozen_seconds() const;
  // "%20s: %6.2f" a row as vzctl's, the freeze last.
  std::string table() const;
  // {"phases": [{"phase": ..., "frozen": ..., "seconds": ...}, ...], "frozen_seconds": ...}
  Json json() const;

 private:
  struct Phase {
    std::string name;
    bool frozen;
    std::chrono::duration<double> took;
  };
  std::vector<Phase> phases_;
  std::chrono::steady_clock::time_point since_;
  bool running_ = false;
};

}  // namespace vz::migrate
