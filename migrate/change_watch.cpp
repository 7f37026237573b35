#include "migrate/change_watch.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/strings.h"
#include "migrate/changes.h"
#include "sys/files.h"
#include "sys/maps.h"

namespace vz::migrate {

namespace {

constexpr uint64_t kNames = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO;
constexpr uint64_t kWatched = kNames | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB | FAN_ONDIR;

constexpr std::string_view kDeleted = " (deleted)";

}  // namespace

std::vector<SharedMapping> shared_mappings(std::string_view maps) {
  std::vector<SharedMapping> out;
  for (const sys::Mapping& m : sys::parse_maps(maps)) {
    if (m.modes[1] != 'w' || m.modes[3] != 's' || m.name.empty()) continue;
    const size_t colon = m.device.find(':');
    if (colon == std::string_view::npos) continue;
    const auto major = parse_hex(m.device.substr(0, colon)), minor = parse_hex(m.device.substr(colon + 1));
    const auto inode = parse_u64(m.inode);
    if (!major || !minor || *major > UINT32_MAX || *minor > UINT32_MAX || !inode || *inode == 0) continue;
    out.push_back({static_cast<unsigned>(*major), static_cast<unsigned>(*minor), *inode, std::string(m.name)});
  }
  return out;
}

Result<void> ChangeWatch::begin(const std::string& root) {
  TRY_AS(root_fd_, sys::open(root, O_RDONLY | O_DIRECTORY));
  struct ::stat st {};
  struct ::statfs fs {};
  if (::fstat(root_fd_.get(), &st) != 0 || ::fstatfs(root_fd_.get(), &fs) != 0)
    return fail_sys(errno, "stat '{}'", root);
  if (fs.f_type == BTRFS_SUPER_MAGIC) return fail(Code::unsupported, "btrfs shows mappings under another device");
  // Not FAN_UNLIMITED_QUEUE: more changes than it holds are found faster by walking.
  events_.reset(::fanotify_init(FAN_CLASS_NOTIF | FAN_REPORT_DFID_NAME | FAN_NONBLOCK | FAN_CLOEXEC, O_RDONLY));
  if (!events_) return Error::sys(errno, "fanotify", Code::unsupported);
  root_ = root;
  device_ = st.st_dev;
  if (::fanotify_mark(events_.get(), FAN_MARK_ADD | FAN_MARK_FILESYSTEM, kWatched, root_fd_.get(), nullptr) == 0)
    return {};
  const int error = errno;
  events_.reset();
  return Error::sys(error, fmt::format("watch '{}'", root), Code::unsupported);
}

bool ChangeWatch::add_tree(const std::string& path) {
  bool known = true;
  const auto walked = walk(root_, path, [&](const std::string& below, const struct ::stat& st) {
    known = known && (S_ISDIR(st.st_mode) || st.st_nlink == 1);
    add_name(found_, below, S_ISDIR(st.st_mode));
  });
  return walked && known;
}

// NAME in the directory FD, whose path is DIRECTORY.
bool ChangeWatch::add_entry(int fd, const std::string& directory, const std::string& name, uint64_t mask) {
  if (name == "." || (mask & kNames)) found_.insert(directory.empty() ? "." : directory);
  if (name == ".") return true;
  const std::string path = directory.empty() ? name : directory + "/" + name;
  struct ::stat st {};
  if (::fstatat(fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    found_.insert(path);
    return errno == ENOENT;
  }
  if (st.st_dev != device_) return true;
  if (S_ISDIR(st.st_mode)) {
    // A renamed directory brings everything that is in it.
    if (mask & (FAN_CREATE | FAN_MOVED_TO)) return add_tree(path);
    found_.insert(path);
    return true;
  }
  add_name(found_, path, false);
  return st.st_nlink == 1;
}

// struct fanotify_event_info_fid: a directory's handle, then a name.
bool ChangeWatch::add_event(const char* record, size_t size, uint64_t mask) {
  fanotify_event_info_fid info{};
  file_handle handle{};
  constexpr size_t kHandle = sizeof info, kBytes = kHandle + sizeof handle;
  if (size < kBytes) return false;
  std::memcpy(&info, record, sizeof info);
  std::memcpy(&handle, record + kHandle, sizeof handle);
  if (info.hdr.info_type != FAN_EVENT_INFO_TYPE_DFID_NAME || kBytes + handle.handle_bytes >= size) return false;
  const std::string name(record + kBytes + handle.handle_bytes,
                         ::strnlen(record + kBytes + handle.handle_bytes, size - kBytes - handle.handle_bytes));
  alignas(file_handle) std::array<char, sizeof handle + MAX_HANDLE_SZ> whole{};
  if (handle.handle_bytes > MAX_HANDLE_SZ) return false;
  std::memcpy(whole.data(), record + kHandle, sizeof handle + handle.handle_bytes);
  const sys::UniqueFd fd(::open_by_handle_at(root_fd_.get(), reinterpret_cast<file_handle*>(whole.data()),
                                             O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return errno == ESTALE;  // removed: its parent has changed as well
  struct ::stat st {};
  if (::fstat(fd.get(), &st) != 0) return false;
  if (st.st_nlink == 0) return true;
  const auto path = sys::read_link(fmt::format("/proc/self/fd/{}", fd.get()));
  if (!path) return false;
  if (*path == root_) return add_entry(fd.get(), "", name, mask);
  if (!path->starts_with(root_ + "/")) return true;  // elsewhere on this file system
  return add_entry(fd.get(), path->substr(root_.size() + 1), name, mask);
}

// A file known by its inode and its path: from the root, or where its mount is out of our sight from that mount's. In a
// mount namespace of the guest's making that path may lead anywhere: never by a symbolic link, never out of the tree.
bool ChangeWatch::add_file(const std::string& path, ino_t inode, timespec since) {
  struct ::stat st {};
  const std::string below = path.substr(path.starts_with(root_ + "/") ? root_.size() + 1 : 1);
  const auto file = sys::open_beneath(root_fd_.get(), below, O_PATH | O_NOFOLLOW);
  if (!file || ::fstat(file->get(), &st) != 0 || st.st_ino != inode || st.st_dev != device_) return false;
  if (!not_before(st.st_ctim, since)) return true;
  add_name(found_, below, false);
  return st.st_nlink == 1;
}

bool ChangeWatch::add_open(pid_t pid, timespec since) {
  const auto maps = sys::read_file(fmt::format("/proc/{}/maps", pid), 64u << 20);
  if (!maps) return false;
  for (const SharedMapping& m : shared_mappings(*maps))
    if (::makedev(m.major, m.minor) == device_ && !m.path.ends_with(kDeleted) && !add_file(m.path, m.inode, since))
      return false;
  // Also what was mapped, and is still open.
  const std::string dir = fmt::format("/proc/{}/fd/", pid);
  const auto open = sys::list_dir(dir);
  if (!open) return false;
  for (const std::string& fd : *open) {
    struct ::stat st {};
    if (::stat((dir + fd).c_str(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_dev != device_) continue;
    if (st.st_nlink == 0 || !not_before(st.st_ctim, since)) continue;
    const auto path = sys::read_link(dir + fd);
    if (!path || !add_file(*path, st.st_ino, since)) return false;
  }
  return true;
}

void ChangeWatch::end() {
  events_.reset();
  root_fd_.reset();
}

std::optional<Names> ChangeWatch::changes(const std::vector<pid_t>& pids, timespec since) {
  if (!events_) return std::nullopt;
  found_.clear();
  bool known = true;
  alignas(fanotify_event_metadata) std::array<char, 65536> buf;
  for (;;) {
    const ssize_t n = ::read(events_.get(), buf.data(), buf.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      known = known && n < 0 && errno == EAGAIN;
      break;
    }
    fanotify_event_metadata event{};
    for (size_t at = 0; at + sizeof event <= static_cast<size_t>(n); at += event.event_len) {
      std::memcpy(&event, buf.data() + at, sizeof event);
      if (event.event_len < sizeof event || at + event.event_len > static_cast<size_t>(n)) return std::nullopt;
      // The queue is emptied in any case: what is in it counts as told.
      if (known)
        known = !(event.mask & FAN_Q_OVERFLOW) &&
                add_event(buf.data() + at + event.metadata_len, event.event_len - event.metadata_len, event.mask);
    }
  }
  for (const pid_t pid : pids) known = known && add_open(pid, since);
  if (!known) return std::nullopt;
  return std::move(found_);
}

}  // namespace vz::migrate
