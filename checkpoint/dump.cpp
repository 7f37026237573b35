#include "base/log.h"
#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/criu.h"
#include "checkpoint/images.h"
#include "sys/files.h"

namespace vz::checkpoint {

namespace {

// Everything criu is not asked to bring back, saved before the freeze: reading it costs no downtime.
Result<void> save_our_part(const runtime::Container& ct, const state::Running& running, const std::string& dir) {
  TRY_AS(sys::UniqueFd netns, sys::open_ns(running.init, "net"));
  TRY_AS(std::string network, net::save_state(ct.network, netns.get()), "network state");
  TRY(sys::replace_file(fmt::format("{}/{}", dir, kNetFile), network, 0600));
  TRY_AS(cgroups::Group group, runtime::group_of(ct));
  TRY_AS(auto tree, group.guest_tree(ct.ids.first), "cgroups");
  TRY(sys::replace_file(fmt::format("{}/{}", dir, kCgroupFile), print_tree(tree), 0600));
  return sys::replace_file(fmt::format("{}/{}", dir, kSinceFile), std::to_string(running.since), 0600);
}

}  // namespace

Result<void> dump(const runtime::Host& host, const runtime::Container& stored, const DumpOptions& options) {
  TRY_AS(const runtime::Container ct, runtime::live_container(host, stored));
  TRY_AS(std::vector<std::string> in_the_way, obstacles(host, ct));
  if (!in_the_way.empty())
    return fail(Code::checkpoint_failed, "CT {} cannot be dumped: {}", ct.id, join(in_the_way, "; "));
  const auto running = state::running(host.paths, ct.id);
  if (!running) return fail(Code::not_running, "Unable to setup checkpointing: container is not running");
  TRY(save_our_part(ct, *running, options.dir));
  if (const std::string conf = ct.file.text(); conf != stored.file.text())
    TRY(sys::replace_file(fmt::format("{}/{}", options.dir, kConfFile), conf, 0600));
  CriuRun run;
  run.args = {"dump", "-t", std::to_string(running->init), "--evasive-devices"};
  for (const auto& part : {common_options(), dump_externals()})
    run.args.insert(run.args.end(), part.begin(), part.end());
  run.image_dir = options.dir;
  run.log_name = "dump.log";
  // "network-lock" comes when every process is seized and before anything is read of them.
  run.hook = [&](const HookCall& call) -> Result<void> {
    if (call.action == "network-lock" && options.when_frozen) return options.when_frozen();
    if (call.action == "post-dump" && options.when_dumped) return options.when_dumped();
    return {};
  };
  if (options.when_prepared) TRY(options.when_prepared());
  auto dumped = run_criu(host, run);
  if (dumped || dumped.error().code != Code::system) return dumped;  // a hook's own failure keeps its code
  return std::move(dumped).error().with_code(Code::checkpoint_failed);
}

bool made_links(const std::string& dir) { return sys::exists(dir + "/remap-fpath.img"); }

}  // namespace vz::checkpoint
