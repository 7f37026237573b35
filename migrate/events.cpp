#include "migrate/events.h"

#include <utility>

#include "base/log.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {
struct Events {
  bool wanted = false, held = false;
  std::string waiting;
};
Events events;
}  // namespace

void want_events() { events.wanted = true; }
bool events_wanted() { return events.wanted; }

void tell(std::string_view name, const Json& fields) {
  if (!events.wanted) return;
  Json line = {{"ctid", log::settings().ctid}, {"event", name}};
  line.update(fields);
  events.waiting += print_json(line) + "\n";
  if (!events.held) release_events();
}

void hold_events() { events.held = true; }

void release_events() {
  events.held = false;
  const std::string lines = std::exchange(events.waiting, "");
  if (!lines.empty()) (void)sys::write_all(1, lines);  // whole lines at once: others may write there as well
}

}  // namespace vz::migrate
