#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <ctime>
#include <thread>

#include <fmt/format.h>

#include "base/log.h"
#include "base/strings.h"
#include "state/identity.h"
#include "state/state.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::state {

namespace {

using namespace std::chrono_literals;
constexpr size_t kLongestLock = 4096;

// A lock file as it was found. Its inode never changes content: a lock is made complete.
struct Found {
  sys::UniqueFd fd;
  std::string text;
  pid_t pid = 0;  // 0: not to be made out
};

std::string content(std::string_view status) {
  const pid_t self = ::getpid();
  return fmt::format("{}\n{}\n{} {}\n", self, status, boot_id(), sys::start_time(self).value_or(0));
}

pid_t recorded_pid(std::string_view text) {
  const auto pid = parse_u64(trim(text.substr(0, text.find('\n'))));
  return pid && *pid <= INT32_MAX ? static_cast<pid_t>(*pid) : 0;
}

// nullopt: no such file (any more).
Result<std::optional<Found>> find(const std::string& path) {
  Found f;
  f.fd = sys::UniqueFd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!f.fd && errno == ENOENT) return std::optional<Found>();
  if (!f.fd) return fail_sys(errno, "open '{}'", path);
  TRY_AS(f.text, sys::read_fd(f.fd.get(), kLongestLock), "'{}'", path);
  f.pid = recorded_pid(f.text);
  return std::optional<Found>(std::move(f));
}

bool holder_lives(const Found& lock) {
  if (lock.pid <= 0 || !alive(lock.pid)) return false;
  const auto lines = split(lock.text, '\n');
  const auto identity = lines.size() > 2 ? words(lines[2]) : std::vector<std::string_view>();
  if (identity.size() != 2) return true;
  return identity[0] == boot_id() && parse_u64(identity[1]) == sys::start_time(lock.pid);
}

bool cleans_up(const Found& lock) {
  const auto lines = split(lock.text, '\n');
  return lines.size() > 1 && lines[1] == kEnded;
}

// A foreign tool may write its PID after making the file.
bool being_written(const Found& lock) {
  constexpr std::time_t kPatience = 5;
  struct ::stat st {};
  return lock.pid == 0 && ::fstat(lock.fd.get(), &st) == 0 && std::abs(std::time(nullptr) - st.st_mtime) < kPatience;
}

bool leads_to(const std::string& path, int fd) {
  struct ::stat ours {};
  struct ::stat there {};
  return ::fstat(fd, &ours) == 0 && ::lstat(path.c_str(), &there) == 0 && ours.st_ino == there.st_ino &&
         ours.st_dev == there.st_dev;
}

// Two that found the same stale lock must not both remove "it": the second would remove the first one's new lock. So
// the remover holds flock(2) on the stale inode and checks that the path still leads there. Nobody else can change the
// path then: its holder is dead, link(2) does not replace, other removers wait for the same flock. False: somebody else
// has it, another remover or a process that the holder forked.
Result<bool> remove_stale(const std::string& path, const Found& lock) {
  if (::flock(lock.fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return false;
    return fail_sys(errno, "lock '{}'", path);
  }
  if (!leads_to(path, lock.fd.get())) return true;
  log::error("Removing stale lock file {}", path);
  TRY(sys::remove_file(path));
  return true;
}

void tell_holder(pid_t pid) {
  const std::string line = sys::read_file(fmt::format("/proc/{}/cmdline", pid)).value_or("");
  const std::string spaced = replace_all(line, std::string_view("\0", 1), " ");
  log::error("Locked by: pid {}, cmdline {}", pid, printable(trim(spaced)));
}

Error cannot_lock(const Error& why) {
  std::string text = "Unable to lock container: " + why.text;
  if (why.sys_errno == EROFS) text += " (--skiplock works without a lock)";
  return Error{why.code, why.sys_errno, std::move(text)};
}

// A complete file without a name, so that nothing is left of who is killed while he waits; where the file system has no
// such files, under a name of our own.
struct Own {
  std::string path;
  sys::UniqueFd fd;
  bool named = false;
};
void forget_name(const Own& own) {
  if (own.named) (void)sys::remove_file(own.path);
}
Result<Own> make_own(const std::string& lock_dir, const std::string& path) {
  Own own;
  own.fd = sys::UniqueFd(::open(lock_dir.c_str(), O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600));
  if (own.fd) {
    own.path = fmt::format("/proc/self/fd/{}", own.fd.get());
    return own;
  }
  own.path = fmt::format("{}.{}", path, ::getpid());
  own.named = true;
  TRY(sys::remove_file(own.path));
  TRY_AS(own.fd, sys::open(own.path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  return own;
}
Result<Own> write_own(const std::string& lock_dir, const std::string& path, std::string_view status) {
  TRY_AS(Own own, make_own(lock_dir, path));
  auto written = sys::write_all(own.fd.get(), content(status));
  // On a full disk its flock alone holds it: what frees space must go on.
  if (!written && written.error().disk_full()) written = {};
  if (written && ::flock(own.fd.get(), LOCK_SH) != 0) written = fail_sys(errno, "lock it");
  if (written) return own;
  forget_name(own);
  return std::move(written.error()).context(own.path);
}

// Links OWN to PATH as soon as nobody alive holds it. The holder's PID (0: unknown) when somebody does, nullopt: it is
// ours.
Result<std::optional<pid_t>> link_when_free(const std::string& own, const std::string& path) {
  const auto patience = std::chrono::steady_clock::now() + 10s;
  for (;;) {
    if (::linkat(AT_FDCWD, own.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) return std::optional<pid_t>();
    if (errno != EEXIST) return fail_sys(errno, "make '{}'", path);
    TRY_AS(const std::optional<Found> lock, find(path));
    if (!lock) continue;
    const bool held = holder_lives(*lock);
    if (being_written(*lock) || (held && !cleans_up(*lock))) return std::optional<pid_t>(lock->pid);
    if (!held) {
      TRY_AS(const bool gone, remove_stale(path, *lock));
      if (gone) continue;
    }
    if (std::chrono::steady_clock::now() > patience) return std::optional<pid_t>(held ? lock->pid : 0);
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

Result<Lock> Lock::take(const std::string& lock_dir, config::CtId id, std::string_view status, bool quiet) {
  const std::string path = fmt::format("{}/{}.lck", lock_dir, id);
  if (auto made = sys::make_dirs(lock_dir); !made) return cannot_lock(made.error());
  auto own = write_own(lock_dir, path, status);
  if (!own) return cannot_lock(own.error());
  const auto holder = link_when_free(own->path, path);
  forget_name(*own);
  if (!holder) return cannot_lock(holder.error());
  if (!*holder) return Lock(path, std::move(own->fd));
  if (**holder && !quiet) tell_holder(**holder);
  return fail(Code::locked, "Container already locked");
}

Lock::Lock(std::string path, sys::UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)), taker_(::getpid()) {}

Lock::Lock(Lock&& other) noexcept : path_(std::move(other.path_)), fd_(std::move(other.fd_)), taker_(other.taker_) {
  other.path_.clear();
}

Lock::~Lock() {
  if (!path_.empty() && taker_ == ::getpid() && leads_to(path_, fd_.get())) (void)sys::remove_file(path_);
}

}  // namespace vz::state
