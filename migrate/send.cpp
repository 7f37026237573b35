#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/criu.h"
#include "migrate/beside.h"
#include "migrate/changes.h"
#include "migrate/image_sender.h"
#include "migrate/migrate.h"
#include "migrate/terms.h"
#include "migrate/times.h"
#include "runtime/cleanup.h"
#include "runtime/start.h"
#include "runtime/status.h"
#include "runtime/stop.h"
#include "sys/files.h"
#include "sys/mounts.h"

namespace vz::migrate {

using namespace std::chrono_literals;

namespace {

struct Move {
  const runtime::Host& host;
  const runtime::Container& ct;
  const runtime::Container& live;  // with what was set without --save
  const Options& options;
  Peer& peer;
  Times times{};
  runtime::Status before{};
  pid_t init = 0;
  std::string there{};   // the root of the copy on the destination
  timespec copied_at{};  // files changed since then are not over yet
};

HostFacts own_facts(const runtime::Host& host) {
  auto program = checkpoint::criu_program(host);
  if (!program) return gather_facts("", program.error().text);
  auto version = checkpoint::criu_version(*program);
  return version ? gather_facts(*version, "") : gather_facts("", version.error().text);
}

Result<Offer> make_offer(const Move& m) {
  Offer offer;
  offer.id = m.ct.id;
  offer.conf = m.ct.file.text();
  offer.live = m.live.file.text();
  offer.online = m.options.online;
  TRY_AS(storage::DiskUsage used, storage::usage(m.ct.area), "disk usage");
  offer.used_kib = used.space_kib;
  offer.used_inodes = used.inodes;
  return offer;
}

Result<void> report(const std::vector<Problem>& problems) {
  if (problems.empty()) return {};
  for (const Problem& p : problems) log::error("Error: {}", p.text);
  return Error::make(problems.front().code, "the checks failed, nothing was changed");
}

// Everything that can be known beforehand, in one go.
Result<void> check(Move& m) {
  const HostFacts here = own_facts(m.host);
  auto greeting = m.peer.wire().ask("hello", print(here), "hello");
  if (!greeting && greeting.error().code == Code::peer)
    return fail(Code::connect_failed,
                "cannot talk to Vessel on the destination (is it reachable, and vzmigrate in root's PATH there?)");
  TRY(greeting);
  TRY_AS(HostFacts facts, parse_facts(*greeting));
  std::vector<Problem> problems = compare(here, facts, m.options.online);
  if (m.options.online) {
    TRY_AS(auto in_the_way, checkpoint::obstacles(m.host, m.ct));
    for (const std::string& text : in_the_way) problems.push_back({Code::checkpoint_failed, text});
  }
  TRY_AS(Offer offer, make_offer(m));
  TRY_AS(std::string verdict, m.peer.wire().ask("offer", print(offer), "verdict"));
  TRY_AS(std::vector<Problem> theirs, parse_problems(verdict));
  problems.insert(problems.end(), theirs.begin(), theirs.end());
  return report(problems);
}

// The moment is taken first, then dirty pages are written back: a page that a program keeps writing through a mapping
// is write-protected by that, and its next write moves the file's change time (page_mkwrite).
Result<void> copy_round(Move& m) {
  const timespec now = change_clock();
  TRY(storage::sync(m.ct.area));
  TRY(m.peer.rsync(m.ct.area.root_dir, m.there));
  TRY(m.peer.wire().ask("sync", "", "synced"));  // now, so that the freeze waits only for what comes last
  m.copied_at = now;
  return {};
}

Result<void> copy_changes(const Move& m, timespec since) {
  TRY_AS(std::string list, changed_since(m.ct.area.root_dir, since));
  return list.empty() ? Result<void>() : m.peer.rsync(m.ct.area.root_dir, m.there, list);
}

// A lost answer to "commit" is neither yes nor no: ask again on a new connection before anything is decided.
Result<bool> runs_there(const Move& m) {
  for (int attempt = 0; attempt < 10; ++attempt) {
    const auto out = m.peer.run_there(fmt::format("vzctl status {}", m.ct.id));
    if (out && out->status.ok()) {
      const auto parts = words(out->out);
      if (parts.size() >= 5) return parts[4] == "running";
    }
    std::this_thread::sleep_for(2s);
  }
  return fail(Code::in_doubt,
              "CT {} may or may not run on the destination, which does not answer; it stays frozen here. Ask there "
              "(vzctl status), then end it here with 'vzctl suspend {} --kill', or let it go on with 'vzctl suspend {} "
              "--resume'",
              m.ct.id, m.ct.id, m.ct.id);
}

Result<void> hand_over(Move& m) {
  TRY(m.peer.wire().ask("complete", "", "ready"));
  auto released = m.peer.wire().ask("commit", "", "released");
  if (released) return {};
  auto answer = runs_there(m);
  if (answer) return *answer ? Result<void>() : std::move(released).error();
  TRY_AS(cgroups::Group group, runtime::group_of(m.ct));
  (void)group.freeze(0ms);  // criu lets go of it now; the freezer holds it
  return std::move(answer).error();
}

Result<void> reappear(const runtime::Container& ct, pid_t init) {
  TRY(runtime::expose_network(ct));
  TRY_AS(sys::UniqueFd netns, sys::open_ns(init, "net"));
  return net::announce(ct.network, netns.get());
}

// The freeze, and what goes on beside it:
//
//   here                                               there
//   what we saved ourselves, "restore"             ->  group, root, criu started: it waits for its first image
//   criu stops the CT
//     hide the network; copy changes in a child
//     criu dumps; images in another child          ->
//     the first image last, "complete"             ->  criu restores; files written back to the disk
//     "commit"                                     <-  "ready"
//   the CT ends here                               <-  "released"
//
// Neighbours that still send here find nobody at home: this host then asks for the address itself, keeps the packets
// that wait for the answer, and passes them on as soon as the destination announces it.
Result<void> freeze_and_hand_over(Move& m, const std::string& images) {
  ImageSender sender(m.peer.wire(), images);
  timespec frozen_at{};
  Beside copy, send;
  Rollback visible;
  checkpoint::DumpOptions options{.dir = images};
  options.when_prepared = [&]() -> Result<void> {
    TRY(sender.send_all());
    TRY(m.peer.wire().send("restore"));
    return send.begin([&](int enough) { return sender.follow(enough); });
  };
  options.when_frozen = [&]() -> Result<void> {
    m.times.begin("Suspend + Dump", true);
    frozen_at = change_clock();
    visible.add("network", [&ct = m.live, init = m.init] { return reappear(ct, init); });
    TRY(runtime::hide_network(m.live));
    return copy.begin([&](int) { return copy_changes(m, m.copied_at); });
  };
  options.when_dumped = [&]() -> Result<void> {
    m.times.begin("Copy dump file", true);
    TRY(send.finish());
    m.times.begin("Second rsync", true);  // what is left of it
    TRY(copy.finish());
    if (checkpoint::made_links(images)) TRY(copy_changes(m, frozen_at));
    m.times.begin("Undump + Resume", true);
    auto handed = hand_over(m);
    m.times.end();
    if (handed || handed.error().code == Code::in_doubt) visible.commit();
    return handed;
  };
  m.times.begin("Prepare dump", false);
  return checkpoint::dump(m.host, m.ct, options);
}

Result<void> move_running(Move& m) {
  const auto running = state::running(m.host.paths, m.ct.id);
  if (!running) return fail(Code::not_running, "CT {} stopped meanwhile", m.ct.id);
  m.init = running->init;
  m.times.begin("Sync, 2nd round", false);
  TRY(copy_round(m));
  const std::string images = images_dir(m.host, m.ct.id);
  TRY(make_images_dir(images));
  Rollback undo;
  undo.add("remove the images", [images] { return remove_images_dir(images); });
  log::info("Live migration stage: suspending, moving, resuming");
  return freeze_and_hand_over(m, images);
}

Result<void> move_with_restart(Move& m) {
  Rollback undo;
  m.times.begin("Stop", true);
  TRY(runtime::stop(m.host, m.ct, {.fast = false, .skip_umount = true}));
  undo.add("start again", [&m] { return runtime::start(m.host, m.ct); });
  m.times.begin("Second rsync", true);
  TRY(copy_changes(m, m.copied_at));
  m.times.begin("Start", true);
  TRY(m.peer.wire().ask("start", "", "released"));
  m.times.end();
  undo.commit();
  return {};
}

Result<void> move_stopped(Move& m) {
  if (m.before.suspended) TRY(ImageSender(m.peer.wire(), m.ct.dump_dir(m.host)).send_all());
  TRY(m.peer.wire().ask(m.before.suspended ? "keep-dump" : m.before.mounted ? "keep-mounted" : "keep", "", "released"));
  return {};
}

// It lives on the destination: nothing below may fail the move.
void retire_source(Move& m) {
  auto step = [](const char* what, Result<void> r) {
    if (!r) log::warn("{}: {}", what, r.error().text);
  };
  log::info("Cleaning up");
  step("clean up the source", runtime::clean_up(m.host, m.ct, runtime::Leave::nothing));
  if (m.options.remove_area) {
    const bool quiet = std::exchange(log::settings().quiet, true);
    step("destroy the source", runtime::destroy(m.host, m.ct));
    log::settings().quiet = quiet;
    return;
  }
  if (m.ct.spec.name) step("release the name", state::assign_name(m.host.paths, m.ct.id, "", *m.ct.spec.name));
  const std::string conf = m.host.paths.conf(m.ct.id);
  if (::rename(conf.c_str(), (conf + ".migrated").c_str()) != 0)
    step("rename the configuration", fail_sys(errno, "{}", conf));
}

Result<void> carry_out(Move& m) {
  log::info("Preparing remote node");
  m.times.begin("Prepare", false);
  TRY_AS(m.there, m.peer.wire().ask("prepare", m.options.keep_dst ? "keep" : "", "prepared"));
  log::info("Syncing private");
  m.times.begin("Sync", false);
  TRY(copy_round(m));
  if (m.options.online) return move_running(m);
  if (m.before.running) return move_with_restart(m);
  return move_stopped(m);
}

}  // namespace

Result<void> send(const runtime::Host& host, const runtime::Container& ct, const Address& to, const Options& options) {
  const runtime::Status before = runtime::status_of(host, ct);
  if (!before.exists) return fail(Code::no_private, "Container private area {} does not exist", ct.area.private_dir);
  if (options.online && !before.running)
    return fail(Code::not_running, "CT {} is not running: leave out --online", ct.id);
  log::info("Starting {}migration of CT {} to {}", options.online ? "live " : "", ct.id, to.target);
  TRY_AS(const runtime::Container live, runtime::live_container(host, ct));
  TRY_AS(auto peer, Peer::connect(to, host.paths.run_dir));
  Move m{.host = host, .ct = ct, .live = live, .options = options, .peer = *peer, .before = before};
  Rollback undo;
  if (!before.mounted) {
    TRY(storage::mount(ct.area));
    undo.add("unmount",
             [area = ct.area] { return storage::is_mounted(area) ? storage::umount(area) : Result<void>(); });
  }
  TRY(check(m));
  if (options.check_only) {
    log::info("All checks passed");
    return {};
  }
  TRY(carry_out(m));
  undo.run();
  retire_source(m);
  if (options.times) log::info("{}", m.times.table());
  log::info("Successfully completed");
  return {};
}

}  // namespace vz::migrate
