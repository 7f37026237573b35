#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "migrate/beside.h"
#include "migrate/changes.h"
#include "migrate/landing.h"
#include "migrate/migrate.h"
#include "migrate/page_flow.h"
#include "migrate/precopy.h"
#include "migrate/recover.h"
#include "migrate/shared_ahead.h"
#include "migrate/steps.h"
#include "migrate/terms.h"
#include "migrate/tmpfs_ahead.h"
#include "migrate/watchdog.h"
#include "net/hold.h"
#include "runtime/cleanup.h"
#include "runtime/start.h"
#include "runtime/stop.h"
#include "sys/files.h"
#include "templates/templates.h"

namespace vz::migrate {

using namespace std::chrono_literals;

namespace {

struct Reception {
  const runtime::Host& host;
  const Wire wire;
  std::optional<Offer> offer{};
  runtime::Container ct{};  // as it will be here
  net::Plan network{};      // at once, if it comes running
  std::optional<state::Lock> lock{};
  std::string move{};                 // its name; empty: nothing was begun
  std::string images{};               // directory of what "image" brings
  bool released = false;              // it is ours now
  PageFlow pages{};                   // its memory, where it goes to a page store
  bool follows = false;               // it runs before all of that is here
  std::vector<std::string> mounts{};  // what its tmpfs hold, where that goes ahead
  SharedThere shared{};               // and what its processes share
  bool has_group = false;             // for these to count as its memory
  Watchdog watchdog{};
};

Result<void> advance(const Reception& r, state::MoveState from, state::MoveState to, bool durable = true) {
  return state::advance_move(r.host.paths, r.ct.id, r.move, from, to, durable);
}

// ---- checks ------------------------------------------------------------------------------------------------------

std::set<std::string> addresses_of(const net::Plan& plan) {
  std::set<std::string> out;
  if (plan.routed)
    for (const auto& a : plan.routed->addresses) out.insert(a.address);
  return out;
}

void check_against_others(const Reception& r, std::vector<Problem>& problems) {
  const auto wanted = addresses_of(r.network);
  for (const config::CtId id : state::all(r.host.paths).value_or({})) {
    auto other = runtime::load_container(r.host, id);
    if (other) other = runtime::live_container(r.host, *other);
    if (!other || id == r.ct.id) continue;
    for (const std::string& a : addresses_of(other->network))
      if (wanted.contains(a))
        problems.push_back(
            {Code::address_in_use, fmt::format("address {} belongs to CT {} on the destination", a, id)});
    if (r.ct.spec.name && other->spec.name == r.ct.spec.name)
      problems.push_back(
          {Code::name_conflict, fmt::format("the name {} belongs to CT {} on the destination", *r.ct.spec.name, id)});
  }
  for (const config::CtId other : state::sharing_ids(r.host.paths, r.ct.id))
    problems.push_back(
        {Code::invalid,
         fmt::format("CT {} would share its range of user ids with CT {} on the destination", r.ct.id, other)});
}

void check_space(const Reception& r, std::vector<Problem>& problems) {
  constexpr uint64_t kMargin = 16 * 1024;  // KiB: the file system's own needs
  const std::string parent = sys::parent_dir(r.ct.area.private_dir);
  struct statvfs fs {};
  if (!sys::make_dirs(parent, 0700) || ::statvfs(parent.c_str(), &fs) != 0) return;
  const uint64_t free_kib = fs.f_bavail * (fs.f_frsize / 1024);
  const auto kept = storage::usage(on_copy(r.ct).area);
  const uint64_t needed_kib = r.offer->used_kib - std::min(r.offer->used_kib, kept ? kept->space_kib : 0) + kMargin;
  if (free_kib < needed_kib)
    problems.push_back({Code::no_space, fmt::format("{} on the destination has {} MiB free, {} are needed", parent,
                                                    free_kib / 1024, needed_kib / 1024)});
}

std::vector<Problem> check(const Reception& r) {
  std::vector<Problem> problems;
  if (sys::exists(r.host.paths.conf(r.ct.id)) || storage::area_exists(r.ct.area.private_dir))
    problems.push_back({Code::exists, fmt::format("CT {} exists on the destination", r.ct.id)});
  for (const net::Veth& v : r.network.veths) {
    if (!v.bridge.empty() && !net::link_exists(v.bridge))
      problems.push_back({Code::network_failed, fmt::format("the destination has no bridge {}", v.bridge)});
    if (net::link_exists(v.host_name))
      problems.push_back(
          {Code::network_failed, fmt::format("the destination has an interface {} already", v.host_name)});
  }
  check_against_others(r, problems);
  check_space(r, problems);
  if (const auto limits = r.ct.limits(); !limits) problems.push_back({limits.error().code, limits.error().text});
  if (const auto memory = memory_problem(*r.offer, sys::read_file("/proc/meminfo").value_or("")))
    problems.push_back(*memory);
  return problems;
}

// ---- steps -------------------------------------------------------------------------------------------------------

Result<void> on_hello(Reception& r, const std::string& body) {
  TRY(parse_facts(body));
  return r.wire.send("hello", print(own_facts(r.host)));
}

Result<void> on_offer(Reception& r, const std::string& body) {
  TRY_AS(Offer offer, parse_offer(body));
  config::File file = config::File::parse(offer.conf);
  // Places are this host's: where its other containers live.
  for (const char* key : {"VE_ROOT", "VE_PRIVATE"}) {
    if (const auto own = r.host.conf_file.get(key))
      TRY(file.set(key, *own));
    else
      file.erase(key);
  }
  TRY_AS(r.ct, runtime::make_container(r.host, offer.id, std::move(file)));
  r.ct.area.layout = r.ct.spec.layout.value_or(config::Layout::image);
  if (!state::moves(r.host.paths, offer.id).empty()) TRY(recover_locked(r.host, offer.id), "an earlier move");
  if (offer.online) {
    TRY_AS(const runtime::Container live, runtime::make_container(r.host, offer.id, config::File::parse(offer.live)));
    r.network = live.network;
  } else {
    r.network = r.ct.network;
  }
  r.offer = std::move(offer);
  return r.wire.send("verdict", print(check(r)));
}

// The template that it was made from, when it is here, fills the new COPY beforehand: that needs not be sent.
Result<void> fill_from_template(const Reception& r, const storage::Area& copy) {
  const auto& spec = r.ct.spec;
  if (!spec.ostemplate || !spec.template_digest) return {};
  const auto found = templates::find(r.host.cache_dir(), *spec.ostemplate);
  if (!found || templates::digest(*found).value_or("") != *spec.template_digest) return {};
  TRY(note_template(r.ct, kAnyTime));  // first: we may be killed
  TRY(storage::mount(copy));
  if (const auto unpacked = templates::unpack_by_helper(found->path, copy.root_dir); !unpacked) {
    log::detail("nothing of its OS template is used: {}", unpacked.error().text);  // a smaller disk, as a rule
    TRY(storage::umount(copy));
    TRY(storage::destroy(copy));
    TRY(storage::create(copy, r.ct.quota()));
    return note_template(r.ct, 0);
  }
  int64_t latest = 1;
  TRY(walk(copy.root_dir, "", [&](const std::string&, const struct ::stat& st) {
    if (S_ISREG(st.st_mode)) latest = std::max<int64_t>(latest, st.st_mtime);
  }));
  return note_template(r.ct, latest);
}

// Goes on with what an earlier try has kept, unless the CT does not fit into it.
Result<void> make_area(const Reception& r, const storage::Area& copy) {
  const auto kept = storage::detect_layout(copy.private_dir);
  if (kept == copy.layout && (kept == config::Layout::dir || storage::resize(copy, r.ct.quota()))) return {};
  if (kept) TRY(storage::destroy({copy.private_dir, copy.root_dir, *kept}));
  TRY(note_template(r.ct, 0));
  TRY(storage::create(copy, r.ct.quota()));
  return fill_from_template(r, copy);
}

// "NAME" or "NAME keep": the move's name, and --keep-dst.
Result<void> on_prepare(Reception& r, const std::string& body) {
  if (!r.offer || r.lock) return fail(Code::peer, "'prepare' out of turn");
  const auto parts = words(body);
  if (parts.empty() || !state::valid_move_name(parts[0])) return fail(Code::peer, "bad name of a move");
  const bool keep = parts.size() > 1 && parts[1] == "keep";
  TRY_AS(state::Lock lock, state::Lock::take(r.host.conf.lockdir, r.ct.id, "migrating"));
  r.lock.emplace(std::move(lock));
  if (const auto problems = check(r); !problems.empty())
    return Error::make(problems.front().code, problems.front().text);
  TRY(abandon(r.host, r.ct, true));
  state::Move record;
  record.id = r.ct.id;
  record.name = parts[0];
  record.state = state::MoveState::receiving;
  record.keep_copy = keep;
  TRY(state::begin_move(r.host.paths, record));
  r.move = record.name;
  TRY(r.watchdog.arm([host = r.host, id = r.ct.id] { return recover_locked(host, id); }));
  at(r.host, "reserved");
  TRY(keep_conf(r.host, r.ct));
  const storage::Area copy = on_copy(r.ct).area;
  TRY(make_area(r, copy));
  if (!storage::is_mounted(copy)) TRY(storage::mount(copy));
  r.images = images_dir(r.host, r.ct.id);
  TRY(make_images_dir(r.images));
  at(r.host, "prepared");
  return r.wire.send("prepared", print(Landing{.root = copy.root_dir, .until = noted_template(r.ct)}));
}

// "image NAME", "image ROUND/NAME": one more piece of that file.
Result<void> on_image(const Reception& r, const std::string& name, const std::string& body) {
  if (!valid_image_name(name) || r.images.empty()) return fail(Code::peer, "bad image name '{}'", printable(name));
  const std::string path = r.images + "/" + name;
  if (name.find('/') != std::string::npos) TRY(sys::make_dirs(sys::parent_dir(path), checkpoint::kImageDirMode));
  TRY_AS(sys::UniqueFd fd, sys::open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0644));
  return sys::write_all(fd.get(), body);
}

// What comes counts as the CT's memory, so its group is there before it.
Result<void> prepare_group(Reception& r) {
  if (!r.offer->online) return fail(Code::peer, "memory of a container that does not come running");
  if (std::exchange(r.has_group, true)) return {};
  TRY_AS(const runtime::Container live, runtime::make_container(r.host, r.ct.id, config::File::parse(r.offer->live)));
  return runtime::make_group(live);
}

Result<void> on_share(Reception& r, const std::string& segment, const std::string& body) {
  TRY(prepare_group(r));
  return r.shared.share(r.ct, segment, body);
}

Result<void> on_tmpfs(Reception& r, const std::string& body) {
  if (!r.mounts.empty()) return fail(Code::peer, "'tmpfs' out of turn");
  TRY_AS(const auto terms, parse_tmpfs_terms(body));
  TRY(prepare_group(r));
  TRY_AS(r.mounts, make_tmpfs(r.images, terms));
  return r.wire.send("tmpfs", r.images);
}

Result<void> on_sync(const Reception& r) {
  TRY(storage::sync(on_copy(r.ct).area));
  return r.wire.send("synced");
}

// From here on the CT is this host's, unless it dies before it is released.
Result<void> claim(const Reception& r) {
  TRY(advance(r, state::MoveState::receiving, state::MoveState::active));
  at(r.host, "active");
  TRY(settle(r.host, r.ct));
  at(r.host, "settled");
  return {};
}

// The source's next word, as a rule: what came for the guest in the freeze. From one that died nothing comes.
Result<void> take_packets(const Reception& r) {
  TRY(r.wire.wait(1s));
  TRY_AS(const std::string packets, r.wire.expect("packets"));
  net::deliver(r.network, packets);
  return {};
}

// What is ours is told, and free for other commands; the record goes when the source has heard of it. Its memory may
// still be on its way.
Result<void> tell_released(Reception& r) {
  r.released = true;
  at(r.host, "released");
  r.lock.reset();
  (void)r.wire.send("released");  // a source that does not hear it asks
  if (r.offer->online) (void)take_packets(r);
  if (r.pages.wanted()) {
    r.pages.release();
    if (auto whole = r.pages.finish(); !whole) log::error("{}", whole.error().text);  // it was killed
  }
  TRY(forget_conf(r.host, r.ct.id));
  TRY(remove_images_dir(r.images));
  r.watchdog.disarm();
  return {};
}

// Takes the images off the wire while criu waits for the first of them, and has the copied files written to the disk:
// what an application had synced on the source is durable here before it runs here. From "complete" on the wire is the
// vote's.
Result<void> feed(const Reception& r) {
  constexpr auto kLongestDump = std::chrono::minutes(5);  // of one process
  std::string first;
  auto received = [&]() -> Result<void> {
    for (;;) {
      TRY(r.wire.wait(kLongestDump));
      TRY_AS(Message m, r.wire.receive());
      if (m.verb == "complete") return {};
      if (m.verb.starts_with("pages ")) {
        TRY(r.shared.put(m.verb.substr(6), m.body));
        continue;
      }
      if (!m.verb.starts_with("image ")) return fail(Code::peer, "unexpected message '{}'", printable(m.verb));
      const std::string name = m.verb.substr(6);
      if (name == checkpoint::kFirstImage)
        first += m.body;
      else
        TRY(on_image(r, name, m.body));
    }
  }();
  // Opened also after a failure: criu waits for a writer, and takes the end of file for a broken image.
  TRY_AS(sys::UniqueFd fifo, sys::open(fmt::format("{}/{}", r.images, checkpoint::kFirstImage), O_WRONLY));
  TRY(received);
  TRY(r.shared.finish(r.images));
  if (r.pages.wanted()) TRY(r.pages.feed(first));
  TRY(sys::write_all(fifo.get(), first));
  fifo.reset();
  TRY(storage::sync(on_copy(r.ct).area));
  at(r.host, "synced");
  return {};
}

Result<void> on_restore(Reception& r) {
  const std::string fifo = fmt::format("{}/{}", r.images, checkpoint::kFirstImage);
  if (::mkfifo(fifo.c_str(), 0644) != 0) return fail_sys(errno, "make '{}'", fifo);
  if (r.pages.wanted()) TRY(r.pages.begin());
  Beside feeder;
  TRY(feeder.begin([&](int) { return feed(r); }));
  checkpoint::RestoreOptions options{.dir = r.images,
                                     .images_follow = true,
                                     .lazy_pages = r.pages.wanted(),
                                     .mounts = r.mounts,
                                     .segments = r.shared.segments(),
                                     .has_group = r.has_group,
                                     .tied_to_caller = true};
  options.before_release = [&]() -> Result<void> {
    TRY(feeder.finish());
    at(r.host, "restored");
    if (r.pages.wanted() && !r.follows) TRY(r.pages.await_whole());
    TRY(r.wire.send("ready"));
    TRY(r.wire.wait(kSilence));
    TRY(r.wire.expect("commit"));
    at(r.host, "told");
    return claim(r);
  };
  // Not flushed: a power cut that undoes it takes what was released as well.
  options.at_release = [&] { return advance(r, state::MoveState::active, state::MoveState::released, false); };
  auto restored = checkpoint::restore(r.host, on_copy(r.ct), options);
  const auto record = state::load_move(r.host.paths, r.ct.id, r.move);
  if (!record || record->state != state::MoveState::released) return restored;
  return tell_released(r);
}

Result<void> on_start(Reception& r) {
  TRY(runtime::start(r.host, on_copy(r.ct)));
  TRY(claim(r));
  TRY(advance(r, state::MoveState::active, state::MoveState::released));
  return tell_released(r);
}

Result<void> on_keep(Reception& r, bool mounted, bool dump) {
  TRY(claim(r));
  if (dump) {
    TRY(sys::make_dirs(r.host.conf.dumpdir, 0700));
    TRY(sys::run_ok({.argv = {"cp", "-a", "--", r.images, r.ct.dump_dir(r.host)}}));
    TRY(sys::sync_fs(r.host.conf.dumpdir));
  }
  if (!mounted) TRY(storage::umount(r.ct.area));
  TRY(advance(r, state::MoveState::active, state::MoveState::released));
  return tell_released(r);
}

Result<void> on_message(Reception& r, const Message& m) {
  if (m.verb == "alive") return {};
  if (m.verb == "hello") return on_hello(r, m.body);
  if (m.verb == "offer") return on_offer(r, m.body);
  if (m.verb == "prepare") return on_prepare(r, m.body);
  if (m.verb.starts_with("image ")) return on_image(r, m.verb.substr(6), m.body);
  if (m.verb == "packets" && r.released) return {};  // too late for them
  if (m.verb == "forget" && r.released) {
    TRY(state::forget_move(r.host.paths, r.ct.id, r.move));
    at(r.host, "forgotten");
    return r.wire.send("forgotten");
  }
  if (r.move.empty() || r.released) return fail(Code::peer, "'{}' out of turn", printable(m.verb));
  if (m.verb == "sync") return on_sync(r);
  if (m.verb == "tmpfs") return on_tmpfs(r, m.body);
  if (m.verb.starts_with("share ")) return on_share(r, m.verb.substr(6), m.body);
  if (m.verb.starts_with("pages ")) return r.shared.put(m.verb.substr(6), m.body);
  if (m.verb == "round") {
    TRY(take_round(r.images, m.body));
    return r.wire.send("taken");
  }
  if (m.verb == "pages") {
    r.follows = m.body == "follow";
    TRY(r.pages.listen(r.host, r.ct, r.move, r.images));
    return r.wire.send("listening");
  }
  if (m.verb == "restore") return on_restore(r);
  if (m.verb == "start") return on_start(r);
  if (m.verb == "keep") return on_keep(r, false, false);
  if (m.verb == "keep-mounted") return on_keep(r, true, false);
  if (m.verb == "keep-dump") return on_keep(r, false, true);
  return fail(Code::peer, "unknown message '{}'", printable(m.verb));
}

}  // namespace

Result<void> receive(const runtime::Host& host, int in, int out) {
  Reception r{.host = host, .wire = Wire(in, out)};
  for (;;) {
    const auto heard = r.wire.wait(kSilence);
    auto message = heard ? r.wire.receive() : Result<Message>(heard.error());
    auto done = message ? on_message(r, *message) : Result<void>();
    if (message && done) continue;
    // The answer first, for a container may be waiting for it; but not before it is final.
    const bool undo = !r.move.empty() && !r.released;
    if (undo)
      for (const auto from : {state::MoveState::receiving, state::MoveState::active})
        (void)advance(r, from, state::MoveState::aborted);  // nothing of ours is left that could release it
    if (message && !r.wire.hung_up()) (void)r.wire.send_error(done.error());  // else it is done, gone, or knows better
    if (undo) TRY(recover(host, r.ct.id));
    r.watchdog.disarm();
    return {};
  }
}

}  // namespace vz::migrate
