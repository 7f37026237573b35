#include "migrate/tmpfs_ahead.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "migrate/changes.h"
#include "runtime/start.h"
#include "sys/channel.h"
#include "sys/files.h"
#include "sys/maps.h"
#include "sys/mountinfo.h"
#include "sys/mounts.h"
#include "sys/namespaces.h"
#include "sys/process.h"

namespace vz::migrate {

namespace {

constexpr uint64_t kMuch = 16u << 20;  // less is packed by criu in the time that a copy takes to begin
constexpr size_t kMost = 16;

struct MountFlag {
  std::string_view name;
  unsigned long flag;
};
constexpr MountFlag kFlags[] = {{"rw", 0},
                                {"nosuid", MS_NOSUID},
                                {"nodev", MS_NODEV},
                                {"noexec", MS_NOEXEC},
                                {"noatime", MS_NOATIME},
                                {"nodiratime", MS_NODIRATIME},
                                {"relatime", MS_RELATIME}};
// rsync brings the first three with the top directory; the other two are the kernel's default, or how it counts inodes.
constexpr std::string_view kBrought[] = {"mode=", "uid=", "gid=", "rw", "inode64", "inode32"};

std::optional<unsigned long> flags_of(std::string_view options) {
  unsigned long flags = 0;
  for (const std::string_view word : split(options, ',')) {
    const auto* known =
        std::find_if(std::begin(kFlags), std::end(kFlags), [&](const MountFlag& f) { return f.name == word; });
    if (known == std::end(kFlags)) return std::nullopt;
    flags |= known->flag;
  }
  return flags & (MS_NOATIME | MS_RELATIME) ? flags : flags | MS_STRICTATIME;
}

// "819200k", "1048576", as the kernel prints them.
bool is_amount(std::string_view text) {
  if (text.ends_with("k")) text.remove_suffix(1);
  return parse_u64(text).has_value();
}

std::optional<TmpfsTerms> terms_of(const sys::MountInfo& m) {
  const auto flags = flags_of(m.options);
  if (!flags) return std::nullopt;
  TmpfsTerms terms{.flags = *flags, .size = {}, .inodes = {}};
  for (const std::string_view word : split(m.super_options, ',')) {
    const std::string_view value = word.substr(std::min(word.find('=') + 1, word.size()));
    if (word.starts_with("size=") && is_amount(value)) {
      terms.size = value;
    } else if (word.starts_with("nr_inodes=") && is_amount(value)) {
      terms.inodes = value;
    } else if (std::none_of(std::begin(kBrought), std::end(kBrought),
                            [&](std::string_view b) { return b.ends_with('=') ? word.starts_with(b) : word == b; })) {
      return std::nullopt;
    }
  }
  return terms;
}

// criu's --external mnt[PATH]:KEY.
bool can_be_named(std::string_view point) {
  return std::all_of(point.begin(), point.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-@").find(c) != std::string_view::npos;
  });
}

// The mount at POINT in the namespace of INIT, by itself, as a detached one. What the guest has on the way there leads
// nowhere out of it.
Result<sys::UniqueFd> clone_from(pid_t init, const std::string& point) {
  constexpr int kClone = 1;
  TRY_AS(const sys::UniqueFd space, sys::open_ns(init, "mnt"));
  TRY_AS(auto channel, sys::Channel::make());
  TRY_AS(const sys::Forked child, sys::fork_process());
  if (child.pid == 0) {
    const auto sent = [&]() -> Result<void> {
      TRY(sys::enter_ns(space.get(), CLONE_NEWNS));
      TRY_AS(const sys::UniqueFd tree, sys::clone_tree(point));
      const int fd = tree.get();
      return channel.child.post(kClone, {&fd, 1});
    }();
    if (!sent) (void)channel.child.post_error(sent.error());
    ::_exit(0);
  }
  channel.child.close();
  auto tree = channel.parent.expect_fd(kClone);
  (void)sys::wait_child(child.pid);
  return tree;
}

std::string device_text(dev_t device, fmt::format_string<unsigned, unsigned> format) {
  return fmt::format(format, major(device), minor(device));
}

// A program that writes through a mapping leaves no trace before it closes the file, not even a change time: each file
// that is mapped by a process now counts.
Result<void> add_mapped(const std::string& root, dev_t device, const std::vector<pid_t>& pids, Names& names) {
  const std::string wanted = device_text(device, "{:02x}:{:02x}");
  std::set<ino_t> mapped;
  for (const pid_t pid : pids) {
    TRY_AS(const std::string maps, sys::read_file(fmt::format("/proc/{}/maps", pid), 64u << 20));
    for (const sys::Mapping& m : sys::parse_maps(maps))
      if (m.modes[3] == 's' && m.device == wanted) mapped.insert(parse_u64(m.inode).value_or(0));
  }
  if (mapped.empty()) return {};
  return walk(root, "", [&](const std::string& path, const struct ::stat& st) {
    if (S_ISREG(st.st_mode) && mapped.contains(st.st_ino)) add_name(names, path, false);
  });
}

// As it was, and nothing else on the same point: criu knows it by that.
bool is_alone(std::string_view mountinfo, const GuestTmpfs& what) {
  std::vector<std::string_view> there;
  for (const std::string_view line : split(mountinfo, '\n'))
    if (const auto m = sys::parse_mount(line); m && m->point == what.point) there.push_back(line);
  return there.size() == 1 && there.front() == what.line;
}

constexpr std::string_view kDirectory = "tmpfs";
std::string name_of(size_t i) { return fmt::format("{}/{}", kDirectory, i); }
std::string place_in(const std::string& images, size_t i) { return fmt::format("{}/{}", images, name_of(i)); }

}  // namespace

std::string print(const std::vector<TmpfsTerms>& all) {
  std::string out;
  for (const TmpfsTerms& t : all)
    out += fmt::format("{} {} {}\n", t.flags, t.size.empty() ? "-" : t.size, t.inodes.empty() ? "-" : t.inodes);
  return out;
}

Result<std::vector<TmpfsTerms>> parse_tmpfs_terms(std::string_view text) {
  constexpr unsigned long kAllowed =
      MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME;
  std::vector<TmpfsTerms> all;
  for (const std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    const auto w = words(line);
    const auto flags = w.size() == 3 ? parse_u64(w[0]) : std::nullopt;
    const auto amount = [](std::string_view word) { return word == "-" || is_amount(word); };
    if (!flags || (*flags & ~kAllowed) || !amount(w[1]) || !amount(w[2]) || all.size() == kMost)
      return fail(Code::peer, "bad description of a tmpfs '{}'", printable(line));
    const auto value = [](std::string_view word) { return word == "-" ? std::string() : std::string(word); };
    all.push_back({*flags, value(w[1]), value(w[2])});
  }
  return all;
}

std::vector<GuestTmpfs> find_tmpfs(std::string_view mountinfo) {
  std::vector<GuestTmpfs> out;
  std::set<std::string_view> devices;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto m = sys::parse_mount(line);
    if (!m || m->type != "tmpfs" || m->root != "/" || m->point == "/" || !can_be_named(m->point)) continue;
    auto terms = terms_of(*m);
    if (terms && devices.insert(m->device).second) out.push_back({m->point, std::string(line), std::move(*terms)});
  }
  return out;
}

Result<void> TmpfsAhead::add(GuestTmpfs what) {
  TRY_AS(const sys::UniqueFd tree, clone_from(init_, what.point));
  struct ::statfs fs {};
  struct ::stat st {};
  if (::fstatfs(tree.get(), &fs) != 0 || ::fstat(tree.get(), &st) != 0) return fail_sys(errno, "stat '{}'", what.point);
  if (device_text(st.st_dev, "{}:{}") != sys::parse_mount(what.line)->device)
    return fail(Code::mounted, "something else is mounted on '{}'", what.point);
  const uint64_t bytes = (fs.f_blocks - fs.f_bfree) * static_cast<uint64_t>(fs.f_bsize);
  if (bytes < kMuch || all_.size() == kMost) return {};
  const std::string place = place_in(here_, all_.size());
  TRY(sys::make_dirs(place, 0700));
  TRY(sys::attach(tree.get(), place));
  Source source{.what = std::move(what), .bytes = bytes, .device = st.st_dev};
  if (auto watched = source.watch.begin(place); !watched) {
    (void)sys::umount_lazy(place);
    return watched;
  }
  all_.push_back(std::move(source));
  return {};
}

Result<void> TmpfsAhead::find(pid_t init, const std::string& images) {
  init_ = init;
  here_ = images;
  TRY_AS(const std::string mountinfo, sys::read_file(fmt::format("/proc/{}/mountinfo", init)));
  for (GuestTmpfs& what : find_tmpfs(mountinfo)) {
    if (!is_alone(mountinfo, what)) continue;
    const std::string point = what.point;
    const auto added = add(std::move(what));
    if (!added) log::detail("'{}' goes with the memory: {}", point, added.error().text);
  }
  return {};
}

std::vector<TmpfsTerms> TmpfsAhead::terms() const {
  std::vector<TmpfsTerms> out;
  for (const Source& s : all_) out.push_back(s.what.terms);
  return out;
}

std::vector<std::string> TmpfsAhead::points() const {
  std::vector<std::string> out;
  for (const Source& s : all_) out.push_back(s.what.point);
  return out;
}

uint64_t TmpfsAhead::bytes() const {
  uint64_t sum = 0;
  for (const Source& s : all_) sum += s.bytes;
  return sum;
}

Result<void> TmpfsAhead::copy(const Peer& peer, const std::string& images, const Copy& how) {
  there_ = images;
  how_.run_by = how.run_by;
  for (size_t i = 0; i < all_.size(); ++i) TRY(peer.rsync(place_in(here_, i), place_in(there_, i), how));
  return {};
}

// Relative to the tmpfs.
Result<Names> TmpfsAhead::changes(size_t i, const std::vector<pid_t>& pids) {
  auto names = all_[i].watch.changes({}, {});
  if (!names) return fail(Code::not_found, "what the kernel told of the changes is not all");
  TRY(add_mapped(place_in(here_, i), all_[i].device, pids, *names));
  return std::move(*names);
}

Result<void> TmpfsAhead::check() const {
  if (all_.empty()) return {};
  TRY_AS(const std::string mountinfo, sys::read_file(fmt::format("/proc/{}/mountinfo", init_)));
  for (const Source& s : all_)
    if (!is_alone(mountinfo, s.what))
      return fail(Code::checkpoint_failed, "the CT changed its mount of '{}' meanwhile: try again", s.what.point);
  return {};
}

Result<void> TmpfsAhead::copy_changes(const Peer& peer, const std::vector<pid_t>& pids) {
  Names all;
  for (size_t i = 0; i < all_.size(); ++i) {
    const auto names = changes(i, pids);
    if (names) {
      for (const std::string& name : *names) all.insert(name == "." ? name_of(i) : name_of(i) + "/" + name);
      continue;
    }
    log::detail("all of '{}' is compared in the freeze: {}", all_[i].what.point, names.error().text);
    TRY(peer.rsync(place_in(here_, i), place_in(there_, i), {.by_content = true, .run_by = how_.run_by}));
  }
  if (all.empty()) return {};
  Copy how = how_;
  how.into_mounts = true;
  how.gone = take_gone(here_, all);
  how.files_from = list_of(all);
  return peer.rsync(here_, there_, how);
}

void TmpfsAhead::end() { all_.clear(); }

Result<std::vector<std::string>> make_tmpfs(const std::string& images, const std::vector<TmpfsTerms>& all) {
  std::vector<std::string> places;
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string place = place_in(images, i);
    TRY(sys::make_dirs(place));
    std::vector<std::string> options;
    if (!all[i].size.empty()) options.push_back("size=" + all[i].size);
    if (!all[i].inodes.empty()) options.push_back("nr_inodes=" + all[i].inodes);
    TRY(sys::mount("tmpfs", place, "tmpfs", all[i].flags, join(options, ",")));
    places.push_back(place);
  }
  return places;
}

Result<void> join_memory(const runtime::Container& ct) {
  TRY_AS(const cgroups::Group group, runtime::group_of(ct));
  TRY_AS(const auto entry, group.open_for_exec());
  TRY_AS(const sys::UniqueFd procs, sys::open_at(entry.v2_dir.get(), "cgroup.procs", O_WRONLY));
  TRY(sys::write_once(procs.get(), "0"));
  return cgroups::Group::join(entry.v1_tasks);
}

}  // namespace vz::migrate
