#include "migrate/times.h"

#include <fmt/core.h>

#include "migrate/events.h"

namespace vz::migrate {

void Times::begin(std::string phase, bool frozen) {
  end();
  if (frozen)
    hold_events();
  else
    release_events();
  tell("phase", {{"phase", phase}, {"frozen", frozen}});
  phases_.push_back({std::move(phase), frozen, {}});
  since_ = std::chrono::steady_clock::now();
  running_ = true;
}

void Times::end() {
  if (running_) phases_.back().took = std::chrono::steady_clock::now() - since_;
  running_ = false;
}

double Times::frozen_seconds() const {
  double sum = 0;
  for (const Phase& p : phases_)
    if (p.frozen) sum += p.took.count();
  return sum;
}

std::string Times::table() const {
  std::string out;
  for (const Phase& p : phases_)
    out += fmt::format("{:>20}: {:6.2f}{}\n", p.name, p.took.count(), p.frozen ? "  (frozen)" : "");
  return out + fmt::format("{:>20}: {:6.2f}", "Total suspended time", frozen_seconds());
}

Json Times::json() const {
  Json phases = Json::array();
  for (const Phase& p : phases_)
    phases.push_back({{"phase", p.name}, {"frozen", p.frozen}, {"seconds", p.took.count()}});
  return {{"phases", phases}, {"frozen_seconds", frozen_seconds()}};
}

}  // namespace vz::migrate
