#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <thread>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "checkpoint/bound_sockets.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/criu.h"
#include "checkpoint/criu_images.h"
#include "checkpoint/images.h"
#include "runtime/cleanup.h"
#include "runtime/root_tree.h"
#include "runtime/scripts.h"
#include "runtime/start.h"
#include "sys/files.h"
#include "sys/mounts.h"

namespace vz::checkpoint {

namespace {

using sys::UniqueFd;

struct OurPart {
  std::string network;
  std::vector<cgroups::Group::Directory> tree;
  std::vector<BoundSocket> sockets;
  int64_t since = 0;
};

Result<OurPart> load_our_part(const std::string& dir) {
  OurPart part;
  TRY_AS(part.network, sys::read_file(fmt::format("{}/{}", dir, kNetFile)));
  TRY_AS(std::string tree, sys::read_file(fmt::format("{}/{}", dir, kCgroupFile)));
  TRY_AS(part.tree, parse_tree(tree));
  if (const auto sockets = sys::read_file(fmt::format("{}/{}", dir, kSocketsFile))) {
    TRY_AS(part.sockets, parse_sockets(*sockets));
  }
  const auto since = sys::read_file(fmt::format("{}/{}", dir, kSinceFile));
  part.since = since ? static_cast<int64_t>(parse_u64(trim(*since)).value_or(0)) : 0;
  return part;
}

Result<void> die_with_parent() {
  return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 ? Result<void>() : fail_sys(errno, "prctl");
}

// criu makes its work directory in /tmp: a killed one would leave it. Where something that it NEEDS lies there, it has
// to.
Result<void> hide_tmp(const std::vector<std::string>& needs) {
  for (const std::string& path : needs)
    if (path.starts_with("/tmp/")) return {};
  return ::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755") == 0
             ? Result<void>()
             : fail_sys(errno, "mount a tmpfs on /tmp");
}

// Directories of ours let nobody in, and criu's root is nobody. In its own mount namespace there is nothing in RUN_DIR
// but DIR, which is below it.
Result<void> let_in(const std::string& run_dir, const std::string& dir) {
  TRY_AS(const UniqueFd images, sys::clone_tree(dir, true));
  TRY(sys::mount("vessel-restore", run_dir, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755"));
  TRY(sys::make_dirs(dir));
  return sys::attach(images.get(), dir);
}

// In the child that becomes criu: a mount namespace of its own in which VE_ROOT is the idmapped tree, so that criu's
// root is a plain mount point and nothing of it shows on the host.
Result<void> see_root(const runtime::Host& host, const runtime::Container& ct, const RestoreOptions& options,
                      int tree) {
  if (::unshare(CLONE_NEWNS) != 0) return fail_sys(errno, "mount namespace");
  TRY(sys::make_private("/"));
  TRY(die_with_parent());
  TRY_AS(const std::string criu, criu_program(host));
  TRY(hide_tmp({criu, sys::helper_path(""), options.dir, ct.area.root_dir}));
  if (!options.mounts.empty()) TRY(let_in(host.paths.run_dir, options.dir));
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

CriuRun restore_run(const runtime::Container& ct, const OurPart& part, const RestoreOptions& options) {
  CriuRun run;
  run.args = {"restore", "--restore-detached", "--restore-sibling", "--root", ct.area.root_dir};
  for (const auto& more : {common_options(), restore_externals(options.mounts)})
    run.args.insert(run.args.end(), more.begin(), more.end());
  if (options.lazy_pages) run.args.emplace_back("--lazy-pages");
  for (const auto& [id, fd] : options.segments) {
    run.args.insert(run.args.end(), {"--inherit-fd", fmt::format("fd[{}]:{}", fd, segment_key(id))});
    run.inherit.push_back(fd);
  }
  if (!part.sockets.empty()) run.env.push_back(placeholders(part.sockets));
  run.image_dir = options.dir;
  run.log_name = "restore.log";
  if (options.images_follow) run.timeout = std::chrono::hours(48);  // the dump's time, and the network's
  return run;
}

// They come with the images, not before: see save_connections() in dump.cpp. criu has its own, also with --empty-ns:
// without translations, and a single one that the kernel refuses ends the restore.
Result<std::string> take_connections(const std::string& dir) {
  auto ours = sys::read_file(fmt::format("{}/{}", dir, kTrackedFile));
  if (!ours && ours.error().sys_errno == ENOENT) return std::string();
  TRY_AS(const auto names, sys::list_dir(dir));
  for (const std::string& name : names)
    if (name.starts_with("netns-ct-") || name.starts_with("netns-exp-")) TRY(sys::remove_file(dir + "/" + name));
  return ours;
}

Result<void> bring_network(const runtime::Container& ct, const OurPart& part, const std::string& dir, pid_t init,
                           Rollback& undo) {
  TRY_AS(UniqueFd netns, sys::open_ns(init, "net"));
  TRY(runtime::connect_unheard(ct, netns.get(), undo));
  TRY_AS(const std::string connections, take_connections(dir));
  TRY(net::restore_state(ct.network, netns.get(), part.network, connections), "network state");
  return {};
}

// There is no way back from these two: what fails is told, and the CT runs. A restored socket sends at once, and so has
// asked in vain for its neighbour.
void appear(const runtime::Host& host, const runtime::Container& ct, pid_t init) {
  if (auto seen = runtime::expose_network(ct); !seen)
    log::warn("CT {} runs, but: network: {}", ct.id, seen.error().text);
  for (const net::Veth& v : ct.network.veths)
    if (auto ran = runtime::run_external_script(host, ct, v); !ran)
      log::warn("CT {} runs, but: network: {}", ct.id, ran.error().text);
  const auto netns = sys::open_ns(init, "net");
  if (netns) (void)net::forget_unanswered(netns->get());
}

// Takes some milliseconds, so it waits until the programs run.
void announce(const runtime::Container& ct, pid_t init) {
  const auto netns = sys::open_ns(init, "net");
  if (netns) (void)net::announce(ct.network, netns->get());
}

void show_sockets(const runtime::Container& ct, const OurPart& part, const cgroups::Group& group) {
  if (part.sockets.empty()) return;
  const auto pids = group.processes();
  if (!pids) return;
  if (auto bound = bind_again(part.sockets, *pids); !bound)
    log::warn("CT {}: a service may not find one of its sockets: {}", ct.id, bound.error().text);
}

Result<void> record(const runtime::Host& host, const runtime::Container& ct, const OurPart& part, pid_t init) {
  state::Running running;
  running.init = init;
  running.init_start = sys::start_time(init).value_or(0);
  running.since = part.since ? part.since : ::time(nullptr);
  running.phase = "running";
  TRY(runtime::note_live(host, ct));
  return state::save_running(host.paths, ct.id, running);
}

Result<void> reap_children() {
  for (int tries = 0; tries < 200; ++tries) {
    const pid_t pid = ::waitpid(-1, nullptr, WNOHANG);
    if (pid < 0) return {};
    if (pid == 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return {};
}

// In the supervisor: the new init is our child by --restore-sibling.
Result<pid_t> launch(const runtime::Host& host, const runtime::Container& ct, const RestoreOptions& options) {
  if (options.tied_to_caller) TRY(die_with_parent());
  TRY_AS(OurPart part, load_our_part(options.dir));
  Rollback undo;
  TRY_AS(cgroups::Group group, runtime::group_of(ct));
  undo.add("remove the cgroups", [group] { return group.remove(); });
  if (!options.has_group) TRY(runtime::make_group(ct));
  undo.add("reap what was killed", reap_children);  // a group with a zombie in it cannot be removed
  TRY(group.make_guest_tree(part.tree, ct.ids.first), "cgroups");
  TRY_AS(UniqueFd user_ns, sys::make_user_ns(ct.ids));
  TRY_AS(UniqueFd tree, runtime::idmapped_root(ct, user_ns.get()));
  undo.add("forget the state", [&host, id = ct.id] { return state::forget_running(host.paths, id); });
  undo.add("kill what was restored", [group] { return group.kill(std::chrono::seconds(10)); });
  pid_t init = 0;
  bool appeared = false;
  Result<void> released;
  CriuRun run = restore_run(ct, part, options);
  run.before_exec = [&] { return see_root(host, ct, options, tree.get()); };
  run.last_word = "pre-resume";
  run.hook = [&](const HookCall& call) -> Result<void> {
    if (call.action == "setup-namespaces") {
      init = call.init;
      return bring_network(ct, part, options.dir, init, undo);
    }
    // criu has put init into its group by way of the tree's root; the others, and watches on these files, are to come.
    if (call.action == "post-setup-namespaces") return group.set_guest_tree(part.tree, ct.ids.first);
    if (call.action == "post-restore") {  // the last stage that can still say no
      show_sockets(ct, part, group);
      TRY(record(host, ct, part, init));
      return options.before_release ? options.before_release() : Result<void>();
    }
    if (call.action == "pre-resume") {  // criu has let its packet filter go, and does not ask whether it may go on
      ::prctl(PR_SET_PDEATHSIG, 0);
      released = options.at_release ? options.at_release() : Result<void>();
      if (!released) {
        (void)group.kill(std::chrono::seconds(10));
        return released;
      }
      appeared = true;
      undo.commit();
      appear(host, ct, init);
    }
    if (call.action == "post-resume") announce(ct, init);
    return {};
  };
  auto ran = run_criu(host, run);
  TRY(released);
  if (!ran && !appeared) return std::move(ran).error();
  if (!ran) log::warn("CT {} runs, but: {}", ct.id, ran.error().text);
  return init;
}

}  // namespace

Result<void> restore(const runtime::Host& host, const runtime::Container& stored, const RestoreOptions& options) {
  TRY_AS(const runtime::Container ct, as_dumped(host, stored, options.dir));
  if (state::running(host.paths, ct.id))
    return fail(Code::running, "Unable to perform restore: container already running");
  if (!options.has_group) TRY(runtime::clean_up(host, ct, runtime::Leave::mounted));
  Rollback undo;
  if (!storage::is_mounted(ct.area)) {
    TRY(runtime::mount(host, ct));
    undo.add("unmount", [&host, ct] { return runtime::unmount(host, ct); });
  }
  auto restored =
      runtime::run_under_supervisor(host, ct, [&](const sys::Channel&) { return launch(host, ct, options); });
  if (!restored && restored.error().code == Code::system)
    return std::move(restored).error().with_code(Code::restore_failed);
  TRY(restored);
  undo.commit();
  return {};
}

}  // namespace vz::checkpoint
