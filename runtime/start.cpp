#include "runtime/start.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>

#include "base/log.h"
#include "runtime/cleanup.h"
#include "runtime/confinement.h"
#include "runtime/devices.h"
#include "runtime/guest_files.h"
#include "runtime/inside.h"
#include "runtime/netdevs.h"
#include "runtime/root_tree.h"
#include "runtime/scripts.h"
#include "runtime/wait.h"
#include "sys/cancel.h"
#include "sys/files.h"
#include "sys/mounts.h"

namespace vz::runtime {

namespace {

using sys::Channel;
using sys::UniqueFd;

constexpr int kNamespaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
enum SupervisorStep : int { kStarted = 1 };

InsidePlan plan_inside(const Container& ct, const std::vector<HostDevice>& devices) {
  InsidePlan plan;
  plan.attach_point = ct.area.root_dir;
  plan.hostname = ct.hostname();
  plan.drop = dropped_capabilities(ct.spec);
  for (const HostDevice& d : devices) plan.devices.push_back(d.name);
  plan.argv = {"init"};
  plan.env = init_environment();
  return plan;
}

// host (supervisor)                                  container's init-to-be (new user, mnt, pid, ipc, uts)
//   clone3 into the cgroup2 directory
//   v1 groups, limits, id maps                       network namespace, which takes as long as all the others
//   idmapped root                     kMapped    ->  v1 groups, cgroup namespace, pivot_root, mounts, /dev, /run
//   network                           kRootReady <-  capabilities, seccomp
//   state file, start script          kGo        ->  exec init
//   end of file = exec worked
Result<pid_t> launch(const Host& host, const Container& ct, const Channel* script_caller) {
  TRY_AS(const std::vector<HostDevice> given, host_devices(ct.spec));
  warn_of_missing_nodes(given);
  const std::vector<HostDevice> devices = with_nodes(given);
  const std::vector<cgroups::Device> allowed = numbers_of(given);
  const InsidePlan inside = plan_inside(ct, devices);
  Rollback undo;
  TRY_AS(cgroups::Group group, group_of(ct));
  undo.add("remove the cgroups", [group] { return group.remove(); });
  TRY(group.create_v2(ct.ids.first, allowed), "cgroups");
  TRY_AS(const UniqueFd v2_dir, group.open_for_init(), "cgroups");
  TRY_AS(Channel::Pair channel, Channel::make());
  TRY_AS(sys::Forked init, sys::clone_process(kNamespaces, v2_dir.get()), "start init");
  if (init.pid == 0) {
    channel.parent.close();
    run_inside(inside, channel.child);
  }
  channel.child.close();
  undo.add("kill init", [pid = init.pid]() -> Result<void> {
    ::kill(pid, SIGKILL);
    return sys::wait_child(pid) ? Result<void>() : fail(Code::system, "cannot reap");
  });
  TRY(group.create_v1(allowed), "cgroups");
  TRY_AS(const cgroups::Limits limits, ct.limits());
  TRY(group.apply(limits), "limits");
  TRY_AS(const std::vector<UniqueFd> tasks, group.open_v1_tasks(), "cgroups");
  TRY(sys::write_id_maps(init.pid, ct.ids), "id maps");
  TRY_AS(UniqueFd user_ns, sys::open_ns(init.pid, "user"));
  TRY_AS(UniqueFd root, whole_root(ct, user_ns.get()));
  TRY_AS(const std::vector<UniqueFd> nodes, make_device_nodes(ct, devices));
  std::vector<int> luggage = {root.get()};
  for (const UniqueFd& n : nodes) luggage.push_back(n.get());
  for (const UniqueFd& t : tasks) luggage.push_back(t.get());
  TRY(channel.parent.expect(kNetReady));
  TRY(channel.parent.post(kMapped, luggage));
  TRY_AS(UniqueFd netns, sys::open_ns(init.pid, "net"));
  TRY(connect_network(host, ct, netns.get(), undo), "network");
  TRY(channel.parent.expect(kRootReady));
  // Before kGo: whoever finds a running init also finds its state file.
  state::Running running;
  running.init = init.pid;
  running.init_start = sys::start_time(init.pid).value_or(0);
  running.since = ::time(nullptr);
  running.phase = "running";
  TRY(state::save_running(host.paths, ct.id, running), "state file");
  undo.add("forget the state", [&host, id = ct.id] { return state::forget_running(host.paths, id); });
  undo.add("bring network devices back", [&host, id = ct.id] { return take_back_netdevs(host, id); });
  TRY(lend_netdevs(host, ct.id, ct.spec.netdev.value_or(std::vector<std::string>()), init.pid));
  if (script_caller) TRY(run_scripts(host, ct, Event::start, script_caller));
  TRY(channel.parent.post(kGo));
  TRY(channel.parent.expect_exec());
  undo.commit();
  return init.pid;
}

// A supervisor outlives the terminal, the session and the shell it was started from.
void detach_from_caller() {
  ::setsid();
  (void)!::chdir("/");
  for (const int sig : {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGPIPE}) ::signal(sig, SIG_IGN);
}

[[noreturn]] void become_supervisor(config::CtId id, pid_t init) {
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; ++fd) ::dup2(null, fd);
  const auto self = sys::read_link("/proc/self/exe");
  const std::string ctid = std::to_string(id), pid = std::to_string(init);
  const std::string helper = sys::helper_path("vz-supervisor");
  const std::string vzctl = sys::parent_dir(self.value_or("/usr/sbin/vzctl")) + "/vzctl";  // we may be vzmigrate
  ::execl(helper.c_str(), "vz-supervisor", pid.c_str(), vzctl.c_str(), "ct-ended", ctid.c_str(), nullptr);
  ::_exit(127);
}

[[noreturn]] void supervise(const Host& host, const Container& ct, const Launch& launch_init, const Channel& caller) {
  detach_from_caller();
  sys::forget_callers_limits();
  auto init = [&]() -> Result<pid_t> {
    const std::string helper = sys::helper_path("vz-supervisor");
    if (!sys::exists(helper)) return fail(Code::system, "'{}' is missing: is Vessel installed whole?", helper);
    TRY(state::save_note(host.paths, ct.id, kSupervisorNote, std::to_string(::getpid())));
    return launch_init(caller);
  }();
  if (!init) {
    (void)state::forget_running(host.paths, ct.id);  // the note as well
    (void)caller.post_error(init.error());
    ::_exit(1);
  }
  // A caller that died meanwhile changes nothing: the CT runs and is found by its state file.
  (void)caller.post(kStarted);
  become_supervisor(ct.id, *init);
}

// Where systemd runs (sd_booted(3)) it kills what is left in the caller's unit when that ends: the supervisor is born
// elsewhere then, which takes half a millisecond.
Result<sys::Forked> fork_supervisor(const Container& ct) {
  if (!sys::exists("/run/systemd/system")) return sys::fork_process();
  TRY_AS(cgroups::Group group, group_of(ct));
  TRY_AS(const UniqueFd place, group.open_for_supervisor(), "cgroups");
  return sys::clone_process(0, place.get());
}

// Until the supervisor says something. It hears no signal; one to us half-closes the channel.
void pass_on_cancellation(const Channel& supervisor) {
  constexpr int kGlanceMs = 200;  // a signal that came between two waits is seen this late
  for (;;) {
    pollfd p{supervisor.fd(), POLLIN, 0};
    if (::poll(&p, 1, kGlanceMs) > 0) return;
    if (!sys::is_cancelled()) continue;
    ::shutdown(supervisor.fd(), SHUT_WR);
    return;
  }
}

// create refuses a CTID that shares another's ids; a configuration that was copied by hand passes it by. Their locks
// are held until this one runs: two that start at the same moment do not see each other's state.
Result<std::vector<state::Lock>> claim_ids(const Host& host, config::CtId id) {
  std::vector<state::Lock> claims;
  for (const config::CtId other : state::sharing_ids(host.paths, id)) {
    TRY_AS(state::Lock claim, state::Lock::take(host.conf.lockdir, other, "starting", true),
           "CT {} would share its range of user ids with CT {}", id, other);
    if (state::running(host.paths, other))
      return fail(Code::invalid, "CT {} would share its range of user ids with CT {}, which runs", id, other);
    claims.push_back(std::move(claim));
  }
  return claims;
}

}  // namespace

Result<void> connect_veth(const Host& host, const Container& ct, const net::Veth& veth, int netns) {
  auto made = net::add_veth(veth, netns, true);
  if (!made) return std::move(made).error().with_code(Code::network_failed);
  auto ran = run_external_script(host, ct, veth);
  if (!ran) (void)net::remove_link(veth.host_name);
  return ran;
}

Result<void> connect_network(const Host& host, const Container& ct, int netns, Rollback& undo) {
  TRY(net::loopback_up(netns));
  for (const net::Veth& v : ct.network.veths) {
    TRY(connect_veth(host, ct, v, netns));
    undo.add("remove " + v.host_name, [name = v.host_name] { return net::remove_link(name); });
  }
  if (!ct.network.routed) return {};
  undo.add("withdraw addresses", [routed = *ct.network.routed]() -> Result<void> {
    TRY(net::withdraw(routed));
    return net::remove_link(routed.veth.host_name);
  });
  TRY(net::add_routed(*ct.network.routed, netns), "routed addresses");
  (void)net::announce(ct.network, netns);  // a courtesy: without it neighbours learn a little later
  return {};
}

Result<void> connect_unheard(const Container& ct, int netns, Rollback& undo) {
  TRY(net::loopback_up(netns));
  std::vector<net::Veth> links = ct.network.veths;
  if (ct.network.routed) links.push_back(ct.network.routed->veth);
  for (net::Veth& v : links) {
    v.bridge.clear();
    TRY(net::add_veth(v, netns, false), "interface '{}'", v.ct_name);
    undo.add("remove " + v.host_name, [name = v.host_name] { return net::remove_link(name); });
  }
  return {};
}

Result<void> expose_network(const Container& ct) {
  for (const net::Veth& v : ct.network.veths)
    if (!v.bridge.empty()) TRY(net::set_master(v.host_name, v.bridge));
  return ct.network.routed ? net::publish(*ct.network.routed) : Result<void>();
}

Result<void> hide_network(const Container& ct) {
  for (const net::Veth& v : ct.network.veths)
    if (!v.bridge.empty()) TRY(net::set_master(v.host_name, ""));
  return ct.network.routed ? net::withdraw(*ct.network.routed) : Result<void>();
}

Result<void> run_under_supervisor(const Host& host, const Container& ct, const Launch& launch_init) {
  TRY_AS(const auto claims, claim_ids(host, ct.id));
  TRY_AS(Channel::Pair channel, Channel::make());
  TRY_AS(sys::Forked supervisor, fork_supervisor(ct));
  if (supervisor.pid == 0) {
    channel.parent.close();
    supervise(host, ct, launch_init, channel.child);
  }
  channel.child.close();
  pass_on_cancellation(channel.parent);
  auto started = channel.parent.expect(kStarted);
  if (!started) {
    (void)sys::check_cancelled();  // what follows is not to be cancelled as well
    (void)sys::wait_child(supervisor.pid);
    return std::move(started).error();
  }
  return {};
}

Result<void> check_start(const Container& ct, const StartOptions& options) {
  if (ct.spec.disabled.value_or(false) && !options.force) return fail(Code::start_disabled, "Container start disabled");
  if (!storage::area_exists(ct.area.private_dir))
    return fail(Code::no_private, "Container private area {} does not exist", ct.area.private_dir);
  return {};
}

Result<void> start(const Host& host, const Container& ct, const StartOptions& options) {
  TRY(check_start(ct, options));
  if (state::running(host.paths, ct.id)) return fail(Code::running, "Container is already running");
  log::info("Starting container...");
  const Scripts scripts = options.scripts ? Scripts::run : Scripts::skip;
  TRY(clean_up(host, ct, Leave::mounted));
  Rollback undo;
  if (!storage::is_mounted(ct.area)) {
    TRY(mount(host, ct, scripts));
    undo.add("unmount", [&host, ct, scripts] { return unmount(host, ct, scripts); });
  }
  if (options.set_up) TRY(prepare_guest_files(ct));
  auto launched = run_under_supervisor(
      host, ct, [&](const Channel& caller) { return launch(host, ct, options.scripts ? &caller : nullptr); });
  if (!launched && launched.error().code == Code::system)
    return std::move(launched).error().with_code(Code::start_failed);
  TRY(launched);
  undo.commit();
  log::info("Container start in progress{}", options.wait ? ", waiting ..." : "...");
  if (!options.wait) return {};
  TRY(wait_until_up(host, ct));
  log::info("Container started successfully");
  return {};
}

}  // namespace vz::runtime
