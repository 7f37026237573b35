#include "migrate/recover.h"

#include <signal.h>

#include <chrono>
#include <thread>

#include "base/log.h"
#include "base/strings.h"
#include "checkpoint/lazy_pages.h"
#include "migrate/landing.h"
#include "migrate/leaving.h"
#include "migrate/migrate.h"
#include "runtime/cleanup.h"
#include "runtime/start.h"
#include "state/identity.h"

namespace vz::migrate {

using namespace std::chrono_literals;
using state::Move;
using state::MoveState;

namespace {

Result<Address> address_of(const Move& m) {
  Address to{.target = m.peer, .ssh_options = {}, .sudo = m.sudo};
  TRY_AS(to.ssh_options, split_words(m.ssh_options));
  return to;
}

Result<std::string> ask_there(const Move& m, std::string_view what) {
  TRY_AS(const Address to, address_of(m));
  TRY_AS(sys::Output out, run_there(to, fmt::format("vzmigrate {} {} {}", what, m.id, m.name)));
  if (!out.status.ok()) return fail(Code::connect_failed, "{}: {}", m.peer, printable(trim(out.err)));
  return std::string(trim(out.out));
}

Result<void> advance(const runtime::Host& host, const Move& m, MoveState from, MoveState to, bool durable = true) {
  return state::advance_move(host.paths, m.id, m.name, from, to, durable);
}

// ---- source --------------------------------------------------------------------------------------------------------

// It stays. Then the other host is told, so that nothing is left there; if it cannot be, it finds out by itself.
Result<void> stay(const runtime::Host& host, const Move& m) {
  TRY_AS(const runtime::Container ct, runtime::load_container(host, m.id));
  TRY(go_on(host, ct));
  TRY(remove_images_dir(images_dir(host, m.id)));
  const bool running = state::running(host.paths, m.id).has_value();
  if (!running && m.start_again && m.boot == state::boot_id()) {
    TRY(runtime::start(host, ct));
  } else if (!running && !m.was_mounted) {
    TRY(runtime::clean_up(host, ct, runtime::Leave::nothing));
  }
  if (const auto told = ask_there(m, "verdict"); !told)
    log::warn("{} cannot be told that CT {} stays here: {}", m.peer, m.id, told.error().text);
  return state::forget_move(host.paths, m.id, m.name);
}

Result<void> leave(const runtime::Host& host, const Move& m) {
  const auto ct = runtime::load_container(host, m.id);
  if (ct) TRY(retire(host, *ct, m.remove_area));
  if (!ct && ct.error().code != Code::no_ct_config) return ct.error();
  if (const auto told = ask_there(m, "forget"); !told) {
    log::detail("{} has not heard yet that CT {} is gone from here: {}", m.peer, m.id, told.error().text);
    return {};  // the record stays until it has
  }
  return state::forget_move(host.paths, m.id, m.name);
}

Error doubt(const Move& m) {
  return fail(Code::in_doubt,
              "CT {} may or may not run on {}, which does not answer. It stands still here until that is known; if you "
              "know it, say 'vzmigrate --recover --resolve=here {}' or '--resolve=there'",
              m.id, m.peer, m.id);
}

Result<void> decide(const runtime::Host& host, const Move& m, bool theirs) {
  TRY(advance(host, m, MoveState::handed, theirs ? MoveState::gone : MoveState::moving));
  return theirs ? leave(host, m) : stay(host, m);
}

Result<void> recover_source(const runtime::Host& host, const Move& m) {
  if (m.state == MoveState::moving) return stay(host, m);
  if (m.state == MoveState::gone) return leave(host, m);
  TRY_AS(const bool theirs, taken_over(m));
  return decide(host, m, theirs);
}

// ---- destination ---------------------------------------------------------------------------------------------------

// The record now; a supervisor may be in the middle of releasing the CT, even one whose caller has just died. nullopt:
// the move is over.
std::optional<Move> look_again(const runtime::Host& host, config::CtId id, std::string_view name) {
  for (int tries = 0;; ++tries) {
    auto m = state::load_move(host.paths, id, name);
    if (!m) return std::nullopt;
    const int most = state::in_progress(*m) ? 150 : 10;
    if (m->state != MoveState::active || m->boot != state::boot_id() || tries >= most) return std::move(*m);
    std::this_thread::sleep_for(20ms);
  }
}

// Nobody knew of it here: not the network, not the source.
Result<void> give_up(const runtime::Host& host, const Move& m) {
  if (m.state != MoveState::aborted) TRY(advance(host, m, m.state, MoveState::aborted));
  const auto ct = kept_container(host, m.id);
  if (ct) TRY(abandon(host, *ct, m.keep_copy));
  if (!ct && ct.error().code != Code::no_ct_config) return ct.error();
  return state::forget_move(host.paths, m.id, m.name);
}

Result<void> take_on(const runtime::Host& host, const Move& m) {
  if (const auto ct = kept_container(host, m.id)) TRY(settle(host, *ct));
  if (m.state != MoveState::released) TRY(advance(host, m, m.state, MoveState::released));
  TRY(forget_conf(host, m.id));
  TRY(checkpoint::await_lazy_pages(images_dir(host, m.id)));
  return remove_images_dir(images_dir(host, m.id));
}

Result<void> recover_destination(const runtime::Host& host, const Move& m) {
  const auto now = look_again(host, m.id, m.name);
  if (!now) return {};
  const bool ours = now->state == MoveState::released ||
                    (now->state == MoveState::active && now->boot != state::boot_id());  // perhaps it was released
  return ours ? take_on(host, *now) : give_up(host, *now);
}

Result<void> end_process(const Move& m) {
  if (!state::in_progress(m)) return {};
  TRY_AS(const sys::UniqueFd pidfd, sys::open_pidfd(m.process));
  if (!state::in_progress(m)) return {};
  (void)sys::send_signal(pidfd.get(), SIGKILL);
  TRY(sys::wait_ended(pidfd.get(), 5s));
  return {};
}

Result<state::Lock> lock_soon(const runtime::Host& host, config::CtId id) {
  for (int tries = 0;; ++tries) {
    auto lock = state::Lock::take(host.conf.lockdir, id, "migrating", true);
    if (lock || lock.error().code != Code::locked || tries > 500) return lock;
    std::this_thread::sleep_for(20ms);
  }
}

}  // namespace

Result<bool> taken_over(const Move& move) {
  const auto answer = ask_there(move, "verdict");
  if (answer && *answer == state::text(MoveState::released)) return true;
  if (answer && *answer == state::text(MoveState::aborted)) return false;
  return doubt(move);
}

Result<void> recover(const runtime::Host& host, config::CtId id) {
  for (const Move& m : state::moves(host.paths, id))
    TRY(state::is_source(m) ? recover_source(host, m) : recover_destination(host, m));
  return {};
}

Result<void> recover_locked(const runtime::Host& host, config::CtId id) {
  TRY_AS(const state::Lock lock, lock_soon(host, id));
  TRY(recover(host, id));
  for (const Move& m : state::moves(host.paths, id))
    if (state::is_source(m)) return fail(Code::connect_failed, "{} does not answer", m.peer);
  return {};
}

Result<void> resolve(const runtime::Host& host, config::CtId id, Whose whose) {
  for (const Move& m : state::moves(host.paths, id))
    if (m.state == MoveState::handed) return decide(host, m, whose == Whose::there);
  return fail(Code::invalid, "no move of CT {} is in doubt here", id);
}

Result<std::string> verdict(const runtime::Host& host, config::CtId id, std::string_view name) {
  if (!state::valid_move_name(name)) return fail(Code::invalid, "bad name of a move");
  // From here on its "commit" comes too late; when it came first, this fails, and that is as good.
  (void)state::advance_move(host.paths, id, name, MoveState::receiving, MoveState::aborted);
  auto now = look_again(host, id, name);
  if (now && now->state != MoveState::released) {
    TRY(end_process(*now));
    TRY_AS(const state::Lock lock, lock_soon(host, id));
    TRY(recover_destination(host, *now));
    now = look_again(host, id, name);
  }
  return std::string(state::text(now ? now->state : MoveState::aborted));
}

}  // namespace vz::migrate
