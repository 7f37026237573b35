// What a move does, for programs: one JSON object a line on standard output (vzmigrate(8), --json).
#pragma once

#include <string_view>

#include "base/json.h"

namespace vz::migrate {

// None are printed before they are wanted.
void want_events();
bool events_wanted();
// {"ctid": N, "event": NAME, and the members of FIELDS}; N is the log's.
void tell(std::string_view name, const Json& fields = Json::object());
// From now on they wait for release_events(): a container that stands still does not wait for a reader that sleeps.
void hold_events();
void release_events();

}  // namespace vz::migrate
