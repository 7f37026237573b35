// What becomes of a move that was broken off: by the records of both hosts (state/moves.h), never by a guess.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/host.h"
#include "state/moves.h"

namespace vz::migrate {

// For the caller who holds the CT's lock: brings every broken-off move of it on this host to its end, asking the other
// host where only that knows. Code::in_doubt: it does not answer, the CT may run there. Nothing to do is success.
Result<void> recover(const runtime::Host& host, config::CtId id);
// The same, taking the lock; for a Watchdog: an error also while the other host has not heard that the CT is gone.
Result<void> recover_locked(const runtime::Host& host, config::CtId id);
// The same for the one move that is in doubt, by the operator's word instead of the other host's.
enum class Whose { here, there };
Result<void> resolve(const runtime::Host& host, config::CtId id, Whose whose);

// On the source, after the word was given and no answer came: has the destination taken MOVE over? Code::in_doubt when
// it cannot be asked.
Result<bool> taken_over(const state::Move& move);
// On the destination: "released" when it has taken the CT over; else it gives the move up for good, cleans up and says
// "aborted". Whatever is still at work on the move here is ended.
Result<std::string> verdict(const runtime::Host& host, config::CtId id, std::string_view move);

}  // namespace vz::migrate
