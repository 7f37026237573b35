// `vzctl set`: changing a container's configuration and, where it can be done, the running container.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/container.h"

namespace vz::runtime {

// Applies CHANGES to FILE (whose spec for CT is SPEC): later reads of the file give the changed values. New interfaces
// get the MACs they have in LIKE, else random ones. Returns the keys that really changed.
Result<std::set<std::string>> change_file(config::File& file, config::CtSpec& spec,
                                          const std::vector<config::Change>& changes, const config::CtSpec& like = {});

// What a running CT cannot take, as CAPABILITY: at its next start, not at all, or now by a restart.
enum class RestartOnly { wait, refuse, restart };
struct SetOptions {
  bool save = false;
  RestartOnly restart_only = RestartOnly::wait;
};
// Takes effect on a running CT where possible, is stored with `save`; says what vzctl says. Any failure: nothing is
// stored. What is not stored holds until the CT stops, through suspend, resume and live moves. Returns whether a
// restart is due, which is the caller's. Code::running for RestartOnly::refuse.
Result<bool> set(const Host& host, const Container& ct, const std::vector<config::Change>& changes,
                 const SetOptions& options);

// Memory, swap and number of processes of a running CT become again what its configuration says. Code::not_running.
Result<void> reset_limits(const Host& host, const Container& ct);

}  // namespace vz::runtime
