#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "checkpoint/bound_sockets.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/criu.h"
#include "checkpoint/foothold.h"
#include "checkpoint/images.h"
#include "checkpoint/obstacles.h"
#include "checkpoint/pre_dump.h"
#include "sys/files.h"

namespace vz::checkpoint {

namespace {

// Everything criu is not asked to bring back, saved before the freeze: reading it costs no downtime.
Result<void> save_our_part(const runtime::Container& ct, const state::Running& running, const cgroups::Group& group,
                           const std::vector<pid_t>& pids, const std::string& dir) {
  TRY_AS(sys::UniqueFd netns, sys::open_ns(running.init, "net"));
  TRY_AS(std::string network, net::save_state(ct.network, netns.get()), "network state");
  TRY(sys::replace_file(fmt::format("{}/{}", dir, kNetFile), network, 0600));
  TRY_AS(auto tree, group.guest_tree(ct.ids.first), "cgroups");
  TRY(sys::replace_file(fmt::format("{}/{}", dir, kCgroupFile), print_tree(tree), 0600));
  TRY_AS(const auto sockets, bound_sockets(pids));
  if (!sockets.empty()) TRY(sys::replace_file(fmt::format("{}/{}", dir, kSocketsFile), print_sockets(sockets), 0600));
  return sys::replace_file(fmt::format("{}/{}", dir, kSinceFile), std::to_string(running.since), 0600);
}

// Later than the rest, when no packet reaches the guest's sockets any more: a connection that was made in between would
// be cut off by a firewall that does not know it. A CT whose connections cannot be read is still worth moving.
Result<void> save_connections(const state::Running& running, const std::string& dir) {
  TRY_AS(sys::UniqueFd netns, sys::open_ns(running.init, "net"));
  const auto connections = net::save_connections(netns.get());
  if (!connections) log::warn("its firewall may not know its connections: {}", connections.error().text);
  if (!connections) return {};
  // Under its own name at once: what is written here may be on its way at the same time.
  TRY_AS(sys::UniqueFd file, sys::open(fmt::format("{}/{}", dir, kTrackedFile), O_WRONLY | O_CREAT | O_EXCL, 0600));
  return sys::write_all(file.get(), *connections);
}

// After a lazy dump criu itself would give memory out, to whoever is at the other end.
Result<sys::UniqueFd> hung_up_socket() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_sys(errno, "socketpair");
  ::close(ends[1]);
  return sys::UniqueFd(ends[0]);
}

Result<void> refuse_obstacles(const runtime::Host& host, const runtime::Container& ct) {
  TRY_AS(const auto in_the_way, obstacles(host, ct));
  std::vector<std::string> reasons;
  for (const Obstacle& o : in_the_way) reasons.push_back(text(o));
  return reasons.empty() ? Result<void>()
                         : fail(Code::checkpoint_failed, "CT {} cannot be dumped: {}", ct.id, join(reasons, "; "));
}

// Whoever is on his way in is in within a moment.
Result<sys::UniqueFd> close_door(const runtime::Host& host, config::CtId id) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  for (;;) {
    TRY_AS(auto door, state::hold_door(host.paths, id, state::Door::alone));
    if (door) return std::move(*door);
    if (std::chrono::steady_clock::now() > deadline) return fail(Code::timeout, "somebody is entering CT {}", id);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

}  // namespace

Result<void> dump(const runtime::Host& host, const runtime::Container& stored, const DumpOptions& options) {
  TRY_AS(const runtime::Container ct, runtime::live_container(host, stored));
  TRY(refuse_obstacles(host, ct));
  const auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "Unable to setup checkpointing: container is not running");
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  TRY_AS(const auto pids, group.processes());
  give_footholds(pids);
  TRY(save_our_part(ct, *running, group, pids, options.dir));
  if (const std::string conf = ct.file.text(); conf != stored.file.text())
    TRY(sys::replace_file(fmt::format("{}/{}", options.dir, kConfFile), conf, 0600));
  CriuRun run;
  run.args = {"dump", "-t", std::to_string(running->init), "--evasive-devices"};
  for (const auto& part : {common_options(), dump_externals(options.left_out)})
    run.args.insert(run.args.end(), part.begin(), part.end());
  if (!options.parent.empty())
    for (std::string& option : parent_options(options.parent)) run.args.push_back(std::move(option));
  sys::UniqueFd nobody;
  if (options.leave_memory) {
    TRY_AS(nobody, hung_up_socket());
    run.args.insert(run.args.end(), {"--lazy-pages", "--ps-socket", std::to_string(nobody.get())});
    run.inherit.push_back(nobody.get());
    run.timeout = std::chrono::hours(48);  // when_dumped gives the memory out
  }
  run.image_dir = options.dir;
  run.log_name = "dump.log";
  run.tree_lives = true;
  run.last_word = "post-dump";
  // "network-lock" comes when every process is seized and before anything is read of them.
  run.hook = [&](const HookCall& call) -> Result<void> {
    if (call.action == "network-lock" && options.when_frozen) return options.when_frozen();
    if (call.action != "post-dump") return {};
    TRY(save_connections(*running, options.dir), "tracked connections");
    return options.when_dumped ? options.when_dumped() : Result<void>();
  };
  if (options.when_prepared) TRY(options.when_prepared());
  TRY_AS(const sys::UniqueFd door, close_door(host, ct.id));
  TRY(refuse_obstacles(host, ct));
  auto dumped = run_criu(host, run);
  if (dumped || dumped.error().code != Code::system) return dumped;  // a hook's own failure keeps its code
  return std::move(dumped).error().with_code(Code::checkpoint_failed);
}

bool made_links(const std::string& dir) { return sys::exists(dir + "/remap-fpath.img"); }

}  // namespace vz::checkpoint
