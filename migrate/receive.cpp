#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/rollback.h"
#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/criu.h"
#include "migrate/beside.h"
#include "migrate/migrate.h"
#include "migrate/terms.h"
#include "runtime/cleanup.h"
#include "runtime/start.h"
#include "runtime/stop.h"
#include "sys/files.h"

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
  std::string images{};    // directory of what "image" brings
  bool keep_area = false;  // --keep-dst
  bool released = false;   // it is ours now
  Rollback undo{};
};

storage::Area half_area(const runtime::Container& ct) {
  storage::Area half = ct.area;
  half.private_dir += ".migrating";
  return half;
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
  if (const auto clash = state::id_range_conflict(r.host.paths, r.ct.id))
    problems.push_back(
        {Code::invalid,
         fmt::format("CT {} would share its range of user ids with CT {} on the destination", r.ct.id, *clash)});
}

void check_space(const Reception& r, std::vector<Problem>& problems) {
  constexpr uint64_t kMargin = 16 * 1024;  // KiB: the file system's own needs
  const std::string parent = sys::parent_dir(r.ct.area.private_dir);
  struct statvfs fs {};
  if (!sys::make_dirs(parent, 0700) || ::statvfs(parent.c_str(), &fs) != 0) return;
  const uint64_t free_kib = fs.f_bavail * (fs.f_frsize / 1024);
  if (free_kib < r.offer->used_kib + kMargin)
    problems.push_back({Code::no_space, fmt::format("{} on the destination has {} MiB free, {} are needed", parent,
                                                    free_kib / 1024, (r.offer->used_kib + kMargin) / 1024)});
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
  return problems;
}

// rsync's far end may still be on its way out.
Result<void> umount_patiently(const storage::Area& area) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (storage::is_mounted(area)) {
    auto gone = storage::umount(area);
    if (gone) break;
    if (std::chrono::steady_clock::now() > deadline) return gone;
    std::this_thread::sleep_for(50ms);
  }
  return {};
}

// What a receiver that was killed left: never a running container, for that is settled.
Result<void> clear_away(const Reception& r, const storage::Area& half) {
  TRY(runtime::clean_up(r.host, r.ct, runtime::Leave::mounted));
  TRY(umount_patiently(half));
  return storage::area_exists(half.private_dir) && !r.keep_area ? storage::destroy(half) : Result<void>();
}

// ---- steps -------------------------------------------------------------------------------------------------------

Result<void> on_hello(Reception& r, const std::string& body) {
  TRY(parse_facts(body));
  auto program = checkpoint::criu_program(r.host);
  auto version = program ? checkpoint::criu_version(*program) : Result<std::string>(program.error());
  return r.wire.send("hello", print(version ? gather_facts(*version, "") : gather_facts("", version.error().text)));
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
  if (offer.online) {
    TRY_AS(const runtime::Container live, runtime::make_container(r.host, offer.id, config::File::parse(offer.live)));
    r.network = live.network;
  } else {
    r.network = r.ct.network;
  }
  r.offer = std::move(offer);
  return r.wire.send("verdict", print(check(r)));
}

Result<void> on_prepare(Reception& r, const std::string& body) {
  if (!r.offer) return fail(Code::peer, "nothing was offered");
  r.keep_area = body == "keep";
  TRY_AS(state::Lock lock, state::Lock::take(r.host.conf.lockdir, r.ct.id, "migrating"));
  r.lock.emplace(std::move(lock));
  if (const auto problems = check(r); !problems.empty())
    return Error::make(problems.front().code, problems.front().text);
  const storage::Area half = half_area(r.ct);
  TRY(clear_away(r, half));
  r.undo.add("remove the copy",
             [&r, half]() -> Result<void> { return r.keep_area ? Result<void>() : storage::destroy(half); });
  if (!storage::area_exists(half.private_dir)) TRY(storage::create(half, r.ct.quota()));
  TRY(storage::mount(half));
  r.undo.add("unmount the copy", [half] { return umount_patiently(half); });
  r.images = images_dir(r.host, r.ct.id);
  r.undo.add("remove the images", [images = r.images] { return remove_images_dir(images); });
  TRY(make_images_dir(r.images));
  return r.wire.send("prepared", half.root_dir);
}

// "image NAME": one more piece of that file.
Result<void> on_image(const Reception& r, const std::string& name, const std::string& body) {
  const bool plain = !name.empty() && name.front() != '.' && name.find('/') == std::string::npos;
  if (!plain || r.images.empty()) return fail(Code::peer, "bad image name '{}'", printable(name));
  TRY_AS(sys::UniqueFd fd, sys::open(r.images + "/" + name, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0644));
  return sys::write_all(fd.get(), body);
}

Result<void> on_sync(const Reception& r) {
  TRY(storage::sync(half_area(r.ct)));
  return r.wire.send("synced");
}

// From a copy to a container: private area under its own name, configuration, name. Last of all, when it runs here and
// the source has let go: until then a killed receiver leaves nothing that could be started.
Result<void> settle(Reception& r) {
  const std::string from = half_area(r.ct).private_dir, to = r.ct.area.private_dir, conf = r.host.paths.conf(r.ct.id);
  if (::rename(from.c_str(), to.c_str()) != 0) return fail_sys(errno, "rename '{}' to '{}'", from, to);
  r.undo.add("rename the copy back", [from, to]() -> Result<void> {
    return ::rename(to.c_str(), from.c_str()) == 0 ? Result<void>() : fail_sys(errno, "rename '{}'", to);
  });
  if (r.ct.spec.name) {
    TRY(state::assign_name(r.host.paths, r.ct.id, *r.ct.spec.name, ""));
    r.undo.add("release the name", [&r] { return state::assign_name(r.host.paths, r.ct.id, "", *r.ct.spec.name); });
  }
  r.undo.add("remove the configuration", [conf] { return sys::remove_file(conf); });
  return runtime::save_container(r.host, r.ct);
}

// The container on the copy, as long as that has not its own name.
runtime::Container on_copy(const Reception& r) {
  runtime::Container ct = r.ct;
  ct.area = half_area(r.ct);
  return ct;
}

Result<void> release(Reception& r) {
  r.released = true;
  r.undo.commit();
  return {};
}

// Takes the images off the wire while criu waits for the first of them, and has the copied files written to the disk:
// what an application had synced on the source is durable here before it runs here. From "complete" on the wire is the
// vote's.
Result<void> feed(const Reception& r) {
  std::string first;
  auto received = [&]() -> Result<void> {
    for (;;) {
      TRY_AS(Message m, r.wire.receive());
      if (m.verb == "complete") return {};
      if (m.verb.substr(0, 6) != "image ") return fail(Code::peer, "unexpected message '{}'", printable(m.verb));
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
  TRY(sys::write_all(fifo.get(), first));
  fifo.reset();
  return storage::sync(half_area(r.ct));
}

Result<void> on_restore(Reception& r) {
  const std::string fifo = fmt::format("{}/{}", r.images, checkpoint::kFirstImage);
  if (::mkfifo(fifo.c_str(), 0644) != 0) return fail_sys(errno, "make '{}'", fifo);
  Beside feeder;
  TRY(feeder.begin([&](int) { return feed(r); }));
  auto vote = [&]() -> Result<void> {
    TRY(feeder.finish());
    TRY(r.wire.ask("ready", "", "commit"));
    return settle(r);
  };
  TRY(checkpoint::restore(r.host, on_copy(r), {.dir = r.images, .images_follow = true, .before_release = vote}));
  TRY(release(r));
  TRY(r.wire.send("released"));
  return remove_images_dir(r.images);
}

Result<void> on_start(Reception& r) {
  TRY(runtime::start(r.host, on_copy(r)));
  r.undo.add("stop it again", [&r] { return runtime::stop(r.host, on_copy(r), {.fast = true, .skip_umount = true}); });
  TRY(settle(r));
  TRY(release(r));
  TRY(r.wire.send("released"));
  return remove_images_dir(r.images);
}

Result<void> on_keep(Reception& r, bool mounted, bool dump) {
  TRY(settle(r));
  if (dump) {
    TRY(sys::make_dirs(r.host.conf.dumpdir, 0700));
    TRY(sys::run_ok({.argv = {"cp", "-a", "--", r.images, r.ct.dump_dir(r.host)}}));
  }
  if (!mounted) TRY(storage::umount(r.ct.area));
  TRY(release(r));
  TRY(r.wire.send("released"));
  return remove_images_dir(r.images);
}

Result<void> on_message(Reception& r, const Message& m) {
  if (m.verb == "hello") return on_hello(r, m.body);
  if (m.verb == "offer") return on_offer(r, m.body);
  if (m.verb == "prepare") return on_prepare(r, m.body);
  if (m.verb.substr(0, 6) == "image ") return on_image(r, m.verb.substr(6), m.body);
  if (!r.lock) return fail(Code::peer, "'{}' before 'prepare'", printable(m.verb));
  if (m.verb == "sync") return on_sync(r);
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
  while (!r.released) {
    auto message = r.wire.receive();
    if (!message) return {};  // the other side is done, or gone: what is not released is undone
    auto done = on_message(r, *message);
    if (done) continue;
    r.undo.run();                     // before the answer: the source may rely on nothing being left
    if (r.wire.hung_up()) return {};  // the source knows better why
    (void)r.wire.send_error(done.error());
    return done;
  }
  return {};
}

}  // namespace vz::migrate
