#include "checkpoint/checkpoint.h"

#include <stdio.h>

#include <cerrno>
#include <chrono>

#include "base/log.h"
#include "base/rollback.h"
#include "runtime/cleanup.h"
#include "runtime/stop.h"
#include "sys/files.h"

namespace vz::checkpoint {

using namespace std::chrono_literals;

namespace {
// A criu that was killed, as by Ctrl-C, has left the guest cut off.
void unlock_network(pid_t init) {
  const auto netns = sys::open_ns(init, "net");
  const auto unlocked = netns ? net::unlock(netns->get()) : netns.error();
  if (!unlocked) log::error("unlock the network: {}", unlocked.error().text);
}
}  // namespace

Result<void> suspend(const runtime::Host& host, const runtime::Container& ct) {
  const auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "Unable to setup checkpointing: container is not running");
  log::info("Setting up checkpoint...");
  const std::string dir = ct.dump_dir(host), half = dir + ".tmp";
  TRY(sys::make_dirs(host.conf.dumpdir, 0700));
  TRY(sys::remove_tree(half));
  TRY(sys::remove_tree(dir));
  TRY(sys::make_dirs(half, kImageDirMode));
  log::info("\tdump...");
  DumpOptions options{.dir = half, .when_dumped = [&]() -> Result<void> {
                        // The guest ends when this returns: from here on the dump is all there is of it.
                        if (::rename(half.c_str(), dir.c_str()) != 0) return fail_sys(errno, "rename '{}'", half);
                        return sys::sync_fs(dir);
                      }};
  auto dumped = dump(host, ct, options);
  if (!dumped) {
    unlock_network(running->init);
    // Kept for criu's log, if it came so far; never taken for a dump.
    const std::string& left = sys::exists(dir) ? dir : half;
    (void)sys::remove_tree(dir + ".fail");
    if (!sys::exists(left + "/dump.log") || ::rename(left.c_str(), (dir + ".fail").c_str()) != 0)
      (void)sys::remove_tree(left);
    return std::move(dumped).error().context("Checkpointing failed");
  }
  log::info("\tkill...");
  TRY(runtime::clean_up(host, ct, runtime::Leave::nothing));
  log::info("Checkpointing completed successfully");
  return {};
}

Result<void> resume(const runtime::Host& host, const runtime::Container& ct) {
  if (state::running(host.paths, ct.id))
    return fail(Code::running, "Unable to perform restore: container already running");
  const std::string dir = ct.dump_dir(host);
  if (!sys::exists(dir)) return fail(Code::restore_failed, "There is no dump {} to restore from", dir);
  log::info("Restoring container ...");
  log::info("\tundump...");
  // Released, the CT changes its files: the dump leads nowhere any more, even if we are killed before it is removed.
  const std::string used = dir + ".tmp";
  TRY(sys::remove_tree(used));
  RestoreOptions options{.dir = dir};
  options.at_release = [&]() -> Result<void> {
    return ::rename(dir.c_str(), used.c_str()) == 0 ? Result<void>() : fail_sys(errno, "rename '{}'", dir);
  };
  TRY(restore(host, ct, options), "Container restore failed");
  TRY(sys::remove_tree(used));
  log::info("Container start in progress...");
  log::info("Restoring completed successfully");
  return {};
}

namespace {
constexpr const char* kFrozen = "checkpointed";
constexpr const char* kRunning = "running";

Result<void> set_phase(const runtime::Host& host, config::CtId id, state::Running running, const char* phase) {
  running.phase = phase;
  return state::save_running(host.paths, id, running);
}

// What a script does next must not hit a container that was never frozen, as when --suspend has failed.
Result<state::Running> find_frozen(const runtime::Host& host, const runtime::Container& ct, const char* what) {
  auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "Unable to {}: container is not running", what);
  if (running->phase != kFrozen)
    return fail(Code::checkpoint_failed, "Unable to {}: container is not frozen (see suspend --suspend)", what);
  return std::move(*running);
}
}  // namespace

Result<void> freeze(const runtime::Host& host, const runtime::Container& ct) {
  const auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "Unable to setup checkpointing: container is not running");
  log::info("\tsuspend...");
  TRY_AS(cgroups::Group group, runtime::group_of(ct));
  // Recorded before it is so: killed in between, we leave nothing that --resume would not undo.
  Rollback undo;
  TRY(set_phase(host, ct.id, *running, kFrozen));
  undo.add("record", [&] { return set_phase(host, ct.id, *running, kRunning); });
  undo.add("thaw", [group] { return group.thaw(); });
  TRY(group.freeze(10s), "suspend");
  undo.commit();
  return {};
}

Result<void> thaw(const runtime::Host& host, const runtime::Container& ct) {
  TRY_AS(const state::Running frozen, find_frozen(host, ct, "resume"));
  log::info("Resuming...");
  TRY_AS(cgroups::Group group, runtime::group_of(ct));
  TRY(group.thaw(), "resume");
  return set_phase(host, ct.id, frozen, kRunning);
}

Result<void> kill_frozen(const runtime::Host& host, const runtime::Container& ct) {
  TRY(find_frozen(host, ct, "kill"));
  log::info("Killing...");
  return runtime::stop(host, ct, {.fast = true});
}

}  // namespace vz::checkpoint
