// Starting a container.
#pragma once

#include <functional>

#include "base/result.h"
#include "base/rollback.h"
#include "runtime/container.h"
#include "sys/channel.h"
#include "sys/process.h"

namespace vz::runtime {

struct StartOptions {
  bool force = false;  // in spite of DISABLED="yes"
  bool wait = false;   // return when the guest has finished booting (systemd), not when its init runs
  bool scripts = true;
  bool set_up = true;  // host name, /etc/hosts, resolv.conf
};

// What start() refuses whatever else there is. Code::start_disabled, Code::no_private.
Result<void> check_start(const Container& ct, const StartOptions& options);

// Mounts the CT when it is not, makes its groups, namespaces and network and runs its init under a supervisor of its
// own. On any error everything is as before. Errors: Code::running, start_disabled, no_private, bad_template,
// script_failed, wait_failed ...
Result<void> start(const Host& host, const Container& ct, const StartOptions& options = {});

// The supervisor: a child of this process, in its own session, that becomes the parent of the container's init, runs
// LAUNCH and then execs vz-supervisor, which waits for init and execs "vzctl ct-ended CTID" to clean up. LAUNCH returns
// init's PID (a child of the supervisor) or an error with nothing left behind. Used by start and by the restore of a
// dump. CALLER hangs up when this process is told to stop (Code::cancelled) or dies. Code::invalid: a CT runs that
// would share its user ids.
using Launch = std::function<Result<pid_t>(const sys::Channel& caller)>;
Result<void> run_under_supervisor(const Host& host, const Container& ct, const Launch& launch);

// ---- parts shared with restore ----------------------------------------------------------------------------------

// With what vznet.conf has run for it. A failure has the code of interfaces, whatever it came from.
Result<void> connect_veth(const Host& host, const Container& ct, const net::Veth& veth, int netns);
// Links and routed addresses of the plan, in NETNS; undo steps go to UNDO.
Result<void> connect_network(const Host& host, const Container& ct, int netns, Rollback& undo);
// The same in two steps, for a CT that comes from elsewhere: first the links alone, which nobody outside hears of (a
// packet that came before its sockets are there would be answered with a reset), then bridges, routes, ARP and NDP
// answers.
Result<void> connect_unheard(const Container& ct, int netns, Rollback& undo);
Result<void> expose_network(const Container& ct);
// For a CT about to leave: out of the bridges, no routes and answers any more; the links stay. expose_network() undoes
// it.
Result<void> hide_network(const Container& ct);

}  // namespace vz::runtime
