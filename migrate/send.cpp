#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/lazy_pages.h"
#include "checkpoint/obstacles.h"
#include "checkpoint/page_source.h"
#include "checkpoint/pre_dump.h"
#include "migrate/beside.h"
#include "migrate/change_watch.h"
#include "migrate/changes.h"
#include "migrate/events.h"
#include "migrate/image_sender.h"
#include "migrate/leaving.h"
#include "migrate/memory_plan.h"
#include "migrate/migrate.h"
#include "migrate/precopy.h"
#include "migrate/progress.h"
#include "migrate/pulse.h"
#include "migrate/recover.h"
#include "migrate/rounds.h"
#include "migrate/shared_ahead.h"
#include "migrate/steps.h"
#include "migrate/terms.h"
#include "migrate/times.h"
#include "migrate/tmpfs_ahead.h"
#include "migrate/watchdog.h"
#include "net/hold.h"
#include "runtime/cleanup.h"
#include "runtime/scripts.h"
#include "runtime/start.h"
#include "runtime/status.h"
#include "runtime/stop.h"
#include "sys/files.h"
#include "sys/mountinfo.h"
#include "sys/mounts.h"

namespace vz::migrate {

using namespace std::chrono_literals;

namespace {

struct Departure {
  const runtime::Host& host;
  const runtime::Container& ct;
  const runtime::Container& live;  // with what was set without --save
  const Options& options;
  Peer& peer;
  Times times{};
  runtime::Status before{};
  pid_t init = 0;
  std::string move{};                                                 // its name
  Landing there{};                                                    // on the destination
  std::optional<std::chrono::steady_clock::time_point> goes_on_at{};  // --max-freeze
  Result<void> memory{};                                              // --lazy: what became of it
  timespec copied_at{};                                               // files changed since then are not over yet
  Directories directories{};                                          // as they were then
  ChangeWatch watch{};                                                // since then
  uint64_t to_copy{};                                                 // bytes of the private area; 0: copied once
  MemoryPlan plan{};                                                  // for its memory
  uint64_t to_dump{};                                                 // bytes of memory, when it was offered
  std::string copied{};                                               // memory: the last round's name
  sys::UniqueFd channel{};                                            // memory: to the page store
  checkpoint::EarlyPages early{};                                     // memory: what is there
  TmpfsAhead tmpfs{};                                                 // what it keeps there
  bool shares = false;                                                // the destination's criu takes shared memory so
  SharedAhead shared{};                                               // memory that its processes share
  net::Hold hold{};                                                   // packets that come in the freeze
};

Result<Offer> make_offer(Departure& m) {
  Offer offer;
  offer.id = m.ct.id;
  offer.conf = m.ct.file.text();
  offer.live = m.live.file.text();
  offer.online = m.options.online;
  TRY_AS(storage::DiskUsage used, storage::usage(m.ct.area), "disk usage");
  offer.used_kib = used.space_kib;
  offer.used_inodes = used.inodes;
  m.to_copy = used.space_kib * 1024;
  offer.memory_kib = m.to_dump / 1024;
  return offer;
}

Result<void> report(const std::vector<Problem>& problems) {
  if (problems.empty()) return {};
  for (const Problem& p : problems) {
    tell("problem", {{"text", p.text}});
    log::error("Error: {}", p.text);
  }
  return Error::make(problems.front().code, "the checks failed, nothing was changed");
}

Result<void> make_plan(Departure& m, const HostFacts& there) {
  if (!m.options.online) return {};
  TRY_AS(m.to_dump, checkpoint::dumpable_memory(m.ct));
  MemoryFacts facts{.bytes = m.to_dump, .no_fetching = there.no_fetching};
  facts.no_write_tracking = checkpoint::cannot_track_writes();
  facts.no_keeping = checkpoint::cannot_keep_pages();
  if (m.to_dump >= kLittleMemory || m.options.precopy) facts.no_image_rounds = checkpoint::cannot_track_memory(m.host);
  m.plan = plan_memory(m.options, facts);
  m.shares = !older(there.criu, "4.0");
  return {};
}

// Everything that can be known beforehand, in one go.
Result<void> check(Departure& m) {
  const HostFacts here = own_facts(m.host);
  auto greeting = m.peer.wire().ask("hello", print(here), "hello");
  if (!greeting && greeting.error().code == Code::peer)
    return fail(
        Code::connect_failed, "cannot talk to Vessel on the destination ({}, and vzmigrate in root's PATH there?)",
        m.peer.sudo() ? "is it reachable, may the user become root by sudo without a password" : "is it reachable");
  TRY(greeting);
  TRY_AS(HostFacts facts, parse_facts(*greeting));
  std::vector<Problem> problems = compare(here, facts, m.options.online);
  if (m.options.online) {
    TRY_AS(auto in_the_way, checkpoint::obstacles(m.host, m.ct));
    for (const checkpoint::Obstacle& o : in_the_way) problems.push_back({Code::checkpoint_failed, text(o)});
  }
  TRY(make_plan(m, facts));
  if (!m.plan.problem.empty()) problems.push_back({Code::unsupported, m.plan.problem});
  TRY_AS(const auto mounts, sys::mounts_below(m.ct.area.root_dir));
  for (const sys::MountPoint& p : mounts)
    problems.push_back(
        {Code::mounted, fmt::format("'{}' ({}) is mounted below VE_ROOT, and is not the CT's to be copied: "
                                    "unmount it, or stop the CT first",
                                    p.path, p.type)});
  TRY_AS(Offer offer, make_offer(m));
  TRY_AS(std::string verdict, m.peer.wire().ask("offer", print(offer), "verdict"));
  TRY_AS(std::vector<Problem> theirs, parse_problems(verdict));
  problems.insert(problems.end(), theirs.begin(), theirs.end());
  return report(problems);
}

// To read so much takes less time than to name those of its files that may be the template's.
constexpr uint64_t kReadAll = 1u << 30;

// A file that has the size and the time of its namesake in the template may have been written all the same.
Result<void> compare_with_template(Departure& m) {
  const int64_t until = std::exchange(m.there.until, 0);
  if (until == 0) return {};
  Names names;
  TRY(walk(m.ct.area.root_dir, "", [&](const std::string& path, const struct ::stat& st) {
    if (S_ISREG(st.st_mode) && st.st_size > 0 && st.st_mtime <= until) add_name(names, path, false);
  }));
  if (names.empty()) return {};
  const Copy copy{.files_from = list_of(names), .by_content = true, .bytes_per_second = m.options.bwlimit};
  return keeping_alive(m.peer.wire(), [&] { return m.peer.rsync(m.ct.area.root_dir, m.there.root, copy); });
}

// The moment is taken first, then dirty pages are written back: a page that a program keeps writing through a mapping
// is write-protected by that, and its next write moves the file's change time (page_mkwrite).
Result<void> copy_round(Departure& m) {
  if (const auto watched = m.watch.begin(m.ct.area.root_dir); !watched)
    log::detail("every file is looked at in the last copy: {}", watched.error().text);
  const timespec now = change_clock();
  TRY_AS(m.directories, directories_of(m.ct.area.root_dir));
  TRY(storage::sync(m.ct.area));
  const bool little = m.to_copy < kReadAll;
  Progress progress;
  TRY(progress.begin("Syncing private", std::exchange(m.to_copy, 0)));
  const bool filled = m.there.until > 0;
  Copy copy{.make_room = filled, .progress = progress.fd(), .bytes_per_second = m.options.bwlimit};
  if (filled && little) {
    copy.by_content = true;
    m.there.until = 0;
  }
  TRY(keeping_alive(m.peer.wire(), [&] { return m.peer.rsync(m.ct.area.root_dir, m.there.root, copy); }));
  progress.end();
  TRY(compare_with_template(m));
  TRY(m.peer.wire().ask("sync", "", "synced"));  // now, so that the freeze waits only for what comes last
  m.copied_at = now;
  return {};
}

// As much as there is of what it keeps in memory as files.
Result<void> copy_tmpfs(Departure& m, const std::string& images) {
  TRY(m.tmpfs.find(m.init, images));
  if (m.tmpfs.empty()) return {};
  m.times.begin("tmpfs, beforehand", false);
  TRY_AS(const std::string there, m.peer.wire().ask("tmpfs", print(m.tmpfs.terms()), "tmpfs"));
  Progress progress;
  TRY(progress.begin("Syncing tmpfs", m.tmpfs.bytes()));
  const Copy copy{.progress = progress.fd(),
                  .bytes_per_second = m.options.bwlimit,
                  .run_by = fmt::format("vzmigrate charge {} {}", m.ct.id, m.move)};
  return keeping_alive(m.peer.wire(), [&] { return m.tmpfs.copy(m.peer, there, copy); });
}

Result<std::vector<pid_t>> processes_of(const runtime::Container& ct) {
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  return group.processes();
}

Result<checkpoint::Tasks> tasks_of(const runtime::Container& ct) {
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  return checkpoint::tasks_of(group);
}

// By what the kernel told, or else by the change times of all files.
Result<Names> changes(Departure& m, timespec since) {
  std::vector<pid_t> pids;  // none when it was stopped for the move
  if (state::running(m.host.paths, m.ct.id)) {
    TRY_AS(pids, processes_of(m.ct));
  }
  if (auto told = m.watch.changes(pids, since)) return std::move(*told);
  log::detail("every file is looked at in the last copy: what the kernel told of the changes is not all");
  return changed_since(m.ct.area.root_dir, since, m.directories);
}

Result<void> copy_changes(Departure& m, timespec since) {
  TRY_AS(Names names, changes(m, since));
  if (names.empty()) return {};
  Copy copy{.gone = take_gone(m.ct.area.root_dir, names)};
  copy.files_from = list_of(names);
  return m.peer.rsync(m.ct.area.root_dir, m.there.root, copy);
}

Result<void> advance(const Departure& m, state::MoveState from, state::MoveState to) {
  return state::advance_move(m.host.paths, m.ct.id, m.move, from, to);
}

// A lost answer is neither yes nor no.
Result<bool> ask_until_known(const Departure& m) {
  TRY_AS(const state::Move record, state::load_move(m.host.paths, m.ct.id, m.move));
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  for (;;) {
    auto theirs = taken_over(record);
    if (theirs || std::chrono::steady_clock::now() > deadline) return theirs;
    std::this_thread::sleep_for(500ms);
  }
}

// Gives the word, WORD, for the CT to be the destination's. From "handed" on only the destination knows whose it is.
Result<void> hand_over(const Departure& m, std::string_view word) {
  using enum state::MoveState;
  TRY(advance(m, moving, handed));
  at(m.host, "handed");
  auto answer = m.peer.wire().ask(word, "", "released");
  auto theirs = answer ? Result<bool>(true) : ask_until_known(m);
  TRY(theirs);
  TRY(advance(m, handed, *theirs ? gone : moving));
  if (!*theirs) return std::move(answer).error();
  at(m.host, "gone");
  return {};
}

// The last word of a live move. Once it is given, only the cgroup's freezer holds the CT if criu dies.
Result<void> hand_over_frozen(Departure& m) {
  TRY(m.peer.wire().send("complete"));
  if (m.goes_on_at) TRY(m.peer.wire().wait(sys::time_left(*m.goes_on_at)));
  TRY(m.peer.wire().expect("ready"));
  at(m.host, "ready");
  TRY_AS(cgroups::Group group, runtime::group_of(m.ct));
  (void)group.freeze(0ms);
  TRY(hand_over(m, "commit"));
  (void)m.peer.wire().send("packets", m.hold.take());
  return {};
}

// They are not worth a failure.
void hold_packets(Departure& m) {
  auto hold = net::Hold::begin(m.live.network);
  if (hold)
    m.hold = std::move(*hold);
  else
    log::detail("packets that come in the freeze are lost: {}", hold.error().text);
}

// To the page store: the memory that is not there yet, from before the restore, which needs some, to when the last page
// is over. A process of its own, on record: if this one dies the memory of a CT that runs there must still be had.
Result<void> serve_memory(Departure& m, const std::string& images, Beside& server) {
  TRY_AS(const checkpoint::Tasks tasks, tasks_of(m.ct));
  TRY_AS(const checkpoint::Contents contents, m.early.rest(tasks));
  if (m.plan.follows) server.outlive_caller();
  TRY(server.begin([&](int) { return checkpoint::send_memory(m.channel.get(), tasks, contents, m.early.choice()); }));
  m.channel.reset();  // the store must see when the server ends
  return checkpoint::note_lazy_pages(images, server.pid());
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
//   "packets"; the CT ends here                    <-  "released"
//
// Neighbours that still send here find nobody at home. For a routed address this host then asks itself, keeps the
// packets that wait for the answer, and passes them on as soon as the destination announces it; for a link in a bridge
// we keep them ("packets", last of all).
Result<void> freeze_and_hand_over(Departure& m, const std::string& images) {
  ImageSender sender(m.peer.wire(), images);
  if (!m.shared.empty())
    sender.leave_out(m.shared, [&]() -> Result<void> {
      TRY_AS(const checkpoint::Tasks tasks, tasks_of(m.ct));
      return m.shared.send_changes(m.peer.wire(), tasks);
    });
  timespec frozen_at{};
  Beside copy, copy_of_tmpfs, send, memory;
  const auto copy_tmpfs_changes = [&]() -> Result<void> {
    TRY_AS(const auto pids, processes_of(m.ct));
    return m.tmpfs.copy_changes(m.peer, pids);
  };
  checkpoint::DumpOptions options{
      .dir = images, .parent = m.copied, .left_out = m.tmpfs.points(), .leave_memory = m.plan.pages};
  options.when_prepared = [&]() -> Result<void> {
    TRY(sender.send_all());
    TRY(m.peer.wire().send("restore"));
    at(m.host, "dump-prepared");
    return send.begin([&](int enough) { return sender.follow(enough); });
  };
  options.when_frozen = [&]() -> Result<void> {
    m.times.begin("Suspend + Dump", true);
    frozen_at = change_clock();
    if (m.options.max_freeze) m.goes_on_at = std::chrono::steady_clock::now() + *m.options.max_freeze;
    TRY(runtime::hide_network(m.live));
    hold_packets(m);
    at(m.host, "frozen");
    TRY(sender.go_ahead());
    TRY(m.tmpfs.check());
    if (!m.tmpfs.empty()) TRY(copy_of_tmpfs.begin([&](int) { return copy_tmpfs_changes(); }));
    return copy.begin([&](int) { return copy_changes(m, m.copied_at); });
  };
  options.when_dumped = [&]() -> Result<void> {
    m.times.begin("Copy dump file", true);
    at(m.host, "dumped");
    TRY(send.finish(m.goes_on_at));
    m.times.begin("Second rsync", true);  // what is left of it
    TRY(copy.finish(m.goes_on_at));
    if (!m.tmpfs.empty()) TRY(copy_of_tmpfs.finish(m.goes_on_at));
    if (checkpoint::made_links(images)) {
      TRY(copy_changes(m, frozen_at));
      if (!m.tmpfs.empty()) TRY(copy_tmpfs_changes());
    }
    at(m.host, "sent");
    m.times.begin("Undump + Resume", true);
    if (m.plan.pages) TRY(serve_memory(m, images, memory));
    TRY(hand_over_frozen(m));
    if (m.plan.follows) {
      m.times.begin("Memory", false);
      m.memory = memory.finish();
    }
    m.times.end();
    TRY_AS(const cgroups::Group group, runtime::group_of(m.ct));
    return group.kill(10s);
  };
  m.times.begin("Prepare dump", false);
  auto dumped = checkpoint::dump(m.host, m.ct, options);
  const auto record = state::load_move(m.host.paths, m.ct.id, m.move);
  return record && record->state == state::MoveState::gone ? Result<void>() : dumped;  // criu may mind the kill
}

Result<void> open_page_store(Departure& m) {
  TRY(m.peer.wire().ask("pages", m.plan.follows ? "follow" : "first", "listening"));
  TRY_AS(m.channel, m.peer.open_channel(fmt::format("vzmigrate pages {} {}", m.ct.id, m.move)));
  return {};
}

Result<void> copy_shared(Departure& m, const std::string& images) {
  TRY_AS(const checkpoint::Tasks tasks, tasks_of(m.ct));
  const auto segments = SharedAhead::find(tasks);
  if (segments.empty()) return {};
  m.times.begin("Shared, beforehand", false);
  return m.shared.copy(m.peer.wire(), segments, images, Pace(m.options.bwlimit));
}

Result<void> copy_memory_beforehand(Departure& m, const std::string& images) {
  if (m.shares) TRY(copy_shared(m, images));
  if (m.plan.pages) TRY(open_page_store(m));
  if (m.plan.rounds == 0) return {};
  m.times.begin("Memory, beforehand", false);
  RoundLimits limits{.most = m.plan.rounds, .bytes_per_second = m.options.bwlimit, .longest_freeze = {}};
  if (!m.plan.follows) limits.longest_freeze = m.options.max_freeze;
  if (m.plan.pages) return copy_pages(m.peer.wire(), m.ct, m.early, m.channel.get(), limits, m.to_dump);
  TRY_AS(m.copied, copy_memory(m.peer.wire(), m.host, m.ct, images, limits));
  return {};
}

Result<void> move_running(Departure& m) {
  const auto running = state::running(m.host.paths, m.ct.id);
  if (!running) return fail(Code::not_running, "CT {} stopped meanwhile", m.ct.id);
  m.init = running->init;
  m.times.begin("Sync, 2nd round", false);
  TRY(copy_round(m));
  const std::string images = images_dir(m.host, m.ct.id);
  TRY(make_images_dir(images));
  TRY(copy_tmpfs(m, images));
  TRY(copy_memory_beforehand(m, images));
  at(m.host, "memory-copied");
  log::info("Live migration stage: suspending, moving, resuming");
  return freeze_and_hand_over(m, images);
}

Result<void> move_with_restart(Departure& m) {
  m.times.begin("Stop", true);
  auto stopped =
      keeping_alive(m.peer.wire(), [&] { return runtime::stop(m.host, m.ct, {.fast = false, .skip_umount = true}); });
  if (!stopped && stopped.error().code == Code::script_failed)
    return std::move(stopped).error().with_code(Code::stop_failed);
  TRY(stopped);
  m.times.begin("Second rsync", true);
  TRY(keeping_alive(m.peer.wire(), [&] { return copy_changes(m, m.copied_at); }));
  TRY(m.peer.wire().ask("sync", "", "synced"));
  m.times.begin("Start", true);
  TRY(hand_over(m, "start"));
  m.times.end();
  return {};
}

Result<void> move_stopped(Departure& m) {
  if (m.before.suspended) {
    m.times.begin("Dump", false);
    TRY(ImageSender(m.peer.wire(), m.ct.dump_dir(m.host), "", Pace(m.options.bwlimit)).send_shown("Dump"));
  }
  return hand_over(m, m.before.suspended ? "keep-dump" : m.before.mounted ? "keep-mounted" : "keep");
}

Result<void> carry_out(Departure& m) {
  log::info("Preparing remote node");
  m.times.begin("Prepare", false);
  TRY_AS(std::string prepared, m.peer.wire().ask("prepare", m.move + (m.options.keep_dst ? " keep" : ""), "prepared"));
  TRY_AS(m.there, parse_landing(prepared));
  log::info("Syncing private");
  m.times.begin("Sync", false);
  TRY(copy_round(m));
  at(m.host, "copied");
  if (m.options.online) return move_running(m);
  if (m.before.running) return move_with_restart(m);
  return move_stopped(m);
}

state::Move record_of(const Departure& m, const Address& to) {
  state::Move record;
  record.id = m.ct.id;
  record.name = m.move;
  record.peer = to.target;
  record.sudo = to.sudo;
  for (const std::string& word : to.ssh_options) record.ssh_options += shell_quote(word) + " ";
  record.start_again = m.before.running && !m.options.online;
  record.was_mounted = m.before.mounted;
  record.remove_area = m.options.remove_area;
  return record;
}

// It lives on the destination: nothing below fails the move.
Result<void> clean_up_source(const Departure& m) {
  log::info("Cleaning up");
  TRY(retire(m.host, m.ct, m.options.remove_area));
  at(m.host, "retired");
  TRY(m.peer.wire().ask("forget", "", "forgotten"));
  return state::forget_move(m.host.paths, m.ct.id, m.move);
}

}  // namespace

Result<void> send(const runtime::Host& host, const runtime::Container& ct, const Address& to, const Options& options) {
  TRY(recover(host, ct.id), "an earlier move");
  const runtime::Status before = runtime::status_of(host, ct);
  if (!before.exists) return fail(Code::no_private, "Container private area {} does not exist", ct.area.private_dir);
  if (options.online && !before.running)
    return fail(Code::not_running, "CT {} is not running: leave out --online", ct.id);
  log::info("Starting {}migration of CT {} to {}", options.online ? "live " : "", ct.id, to.target);
  tell("begin", {{"to", to.target}, {"running", before.running}, {"online", options.online}});
  TRY_AS(const runtime::Container live, runtime::live_container(host, ct));
  TRY_AS(auto peer, Peer::connect(to, host.paths.run_dir));
  Departure m{.host = host, .ct = ct, .live = live, .options = options, .peer = *peer, .before = before};
  Rollback mounted;
  if (!before.mounted) {
    TRY(storage::mount(ct.area));
    mounted.add("unmount",
                [area = ct.area] { return storage::is_mounted(area) ? storage::umount(area) : Result<void>(); });
  }
  TRY(check(m));
  if (!m.plan.note.empty()) log::info("{}", m.plan.note);
  for (const std::string& script : runtime::own_scripts(host.paths, ct.id))
    if (sys::exists(script)) log::warn("{} stays here: what it does is not done on {}", script, to.target);
  if (options.check_only) {
    log::info("All checks passed");
    return {};
  }
  m.move = state::new_move_name();
  TRY(state::begin_move(host.paths, record_of(m, to)));
  Watchdog watchdog;
  TRY(watchdog.arm([host, id = ct.id] { return recover_locked(host, id); }));
  at(host, "begun");
  auto moved = carry_out(m);
  release_events();
  m.watch.end();
  m.tmpfs.end();
  if (!moved) {
    const auto record = state::load_move(host.paths, ct.id, m.move);
    if (record && record->state == state::MoveState::moving)
      if (go_on(host, ct)) net::deliver(live.network, m.hold.take());  // first of all; recover() tells why not
    peer.reset();                                                      // the other side undoes what it has, and ends
    if (auto recovered = recover(host, ct.id); !recovered) {
      watchdog.leave_to_it();
      log::error("{}", recovered.error().text);
      if (recovered.error().code == Code::in_doubt) return std::move(recovered).error();
    }
    if (moved.error().code == Code::timeout && options.max_freeze)
      return fail(Code::timeout, "CT {} would stand still for more than {} ms: it goes on here", ct.id,
                  options.max_freeze->count());
    return moved;
  }
  mounted.run();
  if (auto cleaned = clean_up_source(m); !cleaned) {
    log::detail("cleaning up goes on by itself: {}", cleaned.error().text);
    watchdog.leave_to_it();
  }
  m.times.end();
  tell("times", m.times.json());
  if (options.times) log::info("{}", m.times.table());
  if (!m.memory)
    return fail(Code::restore_failed, "CT {} was stopped on {}: part of its memory was lost on the way ({})", ct.id,
                to.target, m.memory.error().text);
  log::info("Successfully completed");
  return {};
}

}  // namespace vz::migrate
