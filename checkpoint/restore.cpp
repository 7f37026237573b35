#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/criu.h"
#include "checkpoint/images.h"
#include "runtime/cleanup.h"
#include "runtime/start.h"
#include "sys/files.h"
#include "sys/mounts.h"

namespace vz::checkpoint {

namespace {

using sys::UniqueFd;

struct OurPart {
  std::string network;
  std::vector<cgroups::Group::Directory> tree;
  int64_t since = 0;
};

Result<OurPart> load_our_part(const std::string& dir) {
  OurPart part;
  TRY_AS(part.network, sys::read_file(fmt::format("{}/{}", dir, kNetFile)));
  TRY_AS(std::string tree, sys::read_file(fmt::format("{}/{}", dir, kCgroupFile)));
  TRY_AS(part.tree, parse_tree(tree));
  const auto since = sys::read_file(fmt::format("{}/{}", dir, kSinceFile));
  part.since = since ? static_cast<int64_t>(parse_u64(trim(*since)).value_or(0)) : 0;
  return part;
}

// In the child that becomes criu: a mount namespace of its own in which VE_ROOT is the idmapped tree, so that criu's
// root is a plain mount point and nothing of it shows on the host.
Result<void> see_root(const runtime::Container& ct, int tree) {
  if (::unshare(CLONE_NEWNS) != 0) return fail_sys(errno, "mount namespace");
  TRY(sys::make_private("/"));
  return sys::attach(tree, ct.area.root_dir);
}

// With what `set` had changed without --save; its places are today's.
Result<runtime::Container> as_dumped(const runtime::Host& host, const runtime::Container& stored,
                                     const std::string& dir) {
  const auto conf = sys::read_file(fmt::format("{}/{}", dir, kConfFile));
  if (!conf) return conf.error().sys_errno == ENOENT ? Result<runtime::Container>(stored) : conf.error();
  TRY_AS(runtime::Container ct, runtime::make_container(host, stored.id, config::File::parse(*conf)));
  ct.area = stored.area;
  return ct;
}

CriuRun restore_run(const runtime::Container& ct, const RestoreOptions& options) {
  CriuRun run;
  run.args = {"restore", "--restore-detached", "--restore-sibling", "--root", ct.area.root_dir};
  for (const auto& part : {common_options(), restore_externals()})
    run.args.insert(run.args.end(), part.begin(), part.end());
  run.image_dir = options.dir;
  run.log_name = "restore.log";
  if (options.images_follow) run.timeout = std::chrono::hours(48);  // the dump's time, and the network's
  return run;
}

Result<void> bring_network(const runtime::Container& ct, const OurPart& part, pid_t init, Rollback& undo) {
  TRY_AS(UniqueFd netns, sys::open_ns(init, "net"));
  TRY(runtime::connect_unheard(ct, netns.get(), undo));
  TRY(net::restore_state(ct.network, netns.get(), part.network), "network state");
  return {};
}

// There is no way back from these two: what fails is told, and the CT runs.
void appear(const runtime::Container& ct) {
  if (auto seen = runtime::expose_network(ct); !seen)
    log::warn("CT {} runs, but: network: {}", ct.id, seen.error().text);
}

// Takes some milliseconds, so it waits until the programs run.
void announce(const runtime::Container& ct, pid_t init) {
  const auto netns = sys::open_ns(init, "net");
  if (netns) (void)net::announce(ct.network, netns->get());
}

Result<void> record(const runtime::Host& host, const runtime::Container& ct, const OurPart& part, pid_t init) {
  state::Running running;
  running.init = init;
  running.init_start = sys::start_time(init).value_or(0);
  running.supervisor = ::getpid();
  running.since = part.since ? part.since : ::time(nullptr);
  running.phase = "running";
  TRY(runtime::note_live(host, ct));
  return state::save_running(host.paths, ct.id, running);
}

// In the supervisor: the new init is our child by --restore-sibling.
Result<pid_t> launch(const runtime::Host& host, const runtime::Container& ct, const RestoreOptions& options) {
  TRY_AS(OurPart part, load_our_part(options.dir));
  Rollback undo;
  TRY_AS(cgroups::Group group, runtime::make_group(ct, undo));
  TRY(group.make_guest_tree(part.tree, ct.ids.first), "cgroups");
  TRY_AS(UniqueFd user_ns, sys::make_user_ns(ct.ids));
  TRY_AS(UniqueFd tree, runtime::idmapped_root(ct, user_ns.get()));
  undo.add("forget the state", [&host, id = ct.id] { return state::forget_running(host.paths, id); });
  undo.add("kill what was restored", [group] { return group.kill(std::chrono::seconds(10)); });
  pid_t init = 0;
  CriuRun run = restore_run(ct, options);
  run.before_exec = [&] { return see_root(ct, tree.get()); };
  run.hook = [&](const HookCall& call) -> Result<void> {
    if (call.action == "setup-namespaces") {
      init = call.init;
      return bring_network(ct, part, init, undo);
    }
    // criu has put init into its group by way of the tree's root; the others, and watches on these files, are to come.
    if (call.action == "post-setup-namespaces") return group.set_guest_tree(part.tree, ct.ids.first);
    if (call.action == "post-restore") {  // the last stage that can still say no
      TRY(record(host, ct, part, init));
      return options.before_release ? options.before_release() : Result<void>();
    }
    if (call.action == "pre-resume") appear(ct);  // criu has let its packet filter go
    if (call.action == "post-resume") announce(ct, init);
    return {};
  };
  TRY(run_criu(host, run));
  undo.commit();
  return init;
}

}  // namespace

Result<void> restore(const runtime::Host& host, const runtime::Container& stored, const RestoreOptions& options) {
  TRY_AS(const runtime::Container ct, as_dumped(host, stored, options.dir));
  if (state::running(host.paths, ct.id))
    return fail(Code::running, "Unable to perform restore: container already running");
  TRY(runtime::clean_up(host, ct, runtime::Leave::mounted));
  Rollback undo;
  if (!storage::is_mounted(ct.area)) {
    TRY(runtime::mount(host, ct));
    undo.add("unmount", [area = ct.area] { return storage::umount(area); });
  }
  auto restored = runtime::run_under_supervisor(host, ct, [&] { return launch(host, ct, options); });
  if (!restored && restored.error().code == Code::system)
    return std::move(restored).error().with_code(Code::restore_failed);
  TRY(restored);
  undo.commit();
  return {};
}

}  // namespace vz::checkpoint
