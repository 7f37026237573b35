#include "runtime/cleanup.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/log.h"
#include "base/rollback.h"
#include "runtime/netdevs.h"
#include "runtime/scripts.h"
#include "runtime/start.h"
#include "sys/files.h"

namespace vz::runtime {

using namespace std::chrono_literals;

namespace {

// Note: it is mounted, and its mount scripts have not ended well yet.
constexpr std::string_view kMountingNote = "mounting";

bool is_half_mounted(const Host& host, const Container& ct) {
  return state::load_note(host.paths, ct.id, kMountingNote) && storage::is_mounted(ct.area);
}

Result<void> mount_with_scripts(const Host& host, const Container& ct) {
  const bool noted = has_script(host, ct.id, Event::mount);
  TRY(run_scripts(host, ct, Event::premount));
  Rollback undo;
  if (noted) {
    TRY(state::save_note(host.paths, ct.id, kMountingNote, ""));
    undo.add("forget the mount", [&host, id = ct.id] { return state::forget_note(host.paths, id, kMountingNote); });
  }
  TRY(storage::mount(ct.area));
  undo.add("unmount", [area = ct.area] { return storage::umount(area); });
  if (noted) TRY(run_scripts(host, ct, Event::mount));
  undo.commit();
  return noted ? state::forget_note(host.paths, ct.id, kMountingNote) : Result<void>();
}

}  // namespace

Result<void> mount(const Host& host, const Container& ct, Scripts scripts) {
  if (!storage::area_exists(ct.area.private_dir))
    return fail(Code::no_private, "Container private area {} does not exist", ct.area.private_dir);
  if (is_half_mounted(host, ct)) TRY(storage::umount(ct.area));
  if (storage::is_mounted(ct.area)) return fail(Code::mounted, "Container is already mounted");
  TRY(scripts == Scripts::run ? mount_with_scripts(host, ct) : storage::mount(ct.area));
  log::info("Container is mounted");
  return {};
}

Result<void> unmount(const Host& host, const Container& ct, Scripts scripts) {
  if (scripts == Scripts::skip) return storage::umount(ct.area);
  TRY(run_scripts(host, ct, Event::umount));
  TRY(storage::umount(ct.area));
  return run_scripts(host, ct, Event::postumount);
}

Result<void> umount(const Host& host, const Container& ct) {
  if (state::running(host.paths, ct.id)) return fail(Code::running, "Container is running -- stop it first");
  if (!storage::is_mounted(ct.area)) return fail(Code::not_mounted, "CT is not mounted");
  auto unmounted = unmount(host, ct);
  if (!storage::is_mounted(ct.area)) log::info("Container is unmounted");
  TRY(unmounted);
  return state::forget_note(host.paths, ct.id, kMountingNote);
}

namespace {

Result<void> remove_groups(const Container& ct) {
  TRY_AS(cgroups::Group group, group_of(ct));
  if (!group.exists()) return {};
  TRY(group.kill(10s));
  return group.remove();
}

Result<void> disconnect_network(const net::Plan& network) {
  if (network.routed) {
    TRY(net::withdraw(*network.routed));
    TRY(net::remove_link(network.routed->veth.host_name));
  }
  for (const net::Veth& v : network.veths) TRY(net::remove_link(v.host_name));
  return {};
}

}  // namespace

Result<void> clean_up(const Host& host, const Container& ct, Leave leave, Scripts scripts) {
  TRY(remove_groups(ct), "cgroups");
  TRY(take_back_netdevs(host, ct.id), "network");  // what is not back when its namespace ends may end with it
  TRY_AS(const Container live, live_container(host, ct));
  TRY(disconnect_network(live.network), "network");
  // The state last: as long as it is there, the supervisor goes on with what a killed stop left half-way.
  const bool half = is_half_mounted(host, ct);
  const bool is_due = half || (leave == Leave::nothing && storage::is_mounted(ct.area));
  auto unmounted = is_due ? unmount(host, ct, half ? Scripts::skip : scripts) : Result<void>();
  TRY(state::forget_running(host.paths, ct.id));
  // Two that clean up at the same time (the supervisor, and a command with --skiplock): the other one was faster.
  return !unmounted && unmounted.error().code == Code::not_mounted ? Result<void>() : unmounted;
}

Result<void> container_ended(const Host& host, config::CtId id, int wait_status) {
  constexpr auto kPatience = std::chrono::minutes(10);
  const auto self = ::getpid();  // exec kept the supervisor's PID: the state file names us while the CT is ours
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const auto text = state::load_note(host.paths, id, kSupervisorNote);
    if (!text || *text != std::to_string(self)) return {};  // somebody cleaned up, or started it anew
    auto lock = state::Lock::take(host.conf.lockdir, id, state::kEnded, true);
    if (lock) {
      TRY_AS(Container ct, load_container(host, id));
      const auto again = state::load_note(host.paths, id, kSupervisorNote);
      if (!again || *again != std::to_string(self)) return {};
      const bool reboot = WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGHUP;  // pid_namespaces(7)
      TRY(clean_up(host, ct, reboot ? Leave::mounted : Leave::nothing));
      if (!reboot) return {};
      auto started = start(host, ct);
      if (!started) TRY(clean_up(host, ct, Leave::nothing));
      return started;
    }
    if (lock.error().code != Code::locked || std::chrono::steady_clock::now() > deadline)
      return std::move(lock).error();
    std::this_thread::sleep_for(20ms);
  }
}

}  // namespace vz::runtime
