#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
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

// A lock file as it was found. Its inode never changes content: a lock is made complete and replaced as a whole.
struct Found {
  sys::UniqueFd fd;
  std::string text;
  pid_t pid = 0;  // 0: not to be made out
};

std::string content(pid_t pid, std::string_view status) {
  return fmt::format("{}\n{}\n{} {}\n", pid, status, boot_id(), sys::start_time(pid).value_or(0));
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

// Two that found the same stale lock must not both remove "it": the second would remove the first one's new lock. So
// the remover holds flock(2) on the stale inode and checks that the path still leads there. Nobody else can change the
// path then: its holder is dead, link(2) does not replace, other removers wait for the same flock.
Result<void> remove_stale(const std::string& path, const Found& lock) {
  if (::flock(lock.fd.get(), LOCK_EX | LOCK_NB) != 0)
    return errno == EWOULDBLOCK ? Result<void>() : fail_sys(errno, "lock '{}'", path);
  struct ::stat ours {
  }, there{};
  if (::fstat(lock.fd.get(), &ours) != 0) return fail_sys(errno, "stat '{}'", path);
  if (::lstat(path.c_str(), &there) != 0 || ours.st_ino != there.st_ino || ours.st_dev != there.st_dev) return {};
  log::error("Removing stale lock file {}", path);
  return sys::remove_file(path);
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

// A complete file under a name of our own.
Result<std::string> write_own(const std::string& path, pid_t pid, std::string_view status) {
  const std::string own = fmt::format("{}.{}", path, ::getpid());
  TRY(sys::remove_file(own));
  TRY_AS(const sys::UniqueFd fd, sys::open(own, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
  if (auto r = sys::write_all(fd.get(), content(pid, status)); !r) {
    (void)sys::remove_file(own);
    return std::move(r.error()).context(own);
  }
  return own;
}

// Links OWN to PATH as soon as nobody alive holds it. The holder's PID (0: unknown) when somebody does, nullopt: it is
// ours.
Result<std::optional<pid_t>> link_when_free(const std::string& own, const std::string& path) {
  constexpr int kTries = 200;
  const auto patience = std::chrono::steady_clock::now() + 10s;
  for (int i = 0; i < kTries;) {
    if (::link(own.c_str(), path.c_str()) == 0) return std::optional<pid_t>();
    if (errno != EEXIST) return fail_sys(errno, "make '{}'", path);
    TRY_AS(const std::optional<Found> lock, find(path));
    if (lock && holder_lives(*lock) && cleans_up(*lock) && std::chrono::steady_clock::now() < patience) {
      std::this_thread::sleep_for(5ms);
      continue;
    }
    ++i;
    if (!lock) continue;
    if (holder_lives(*lock) || being_written(*lock)) return std::optional<pid_t>(lock->pid);
    TRY(remove_stale(path, *lock));
    if (i > 2) std::this_thread::sleep_for(1ms);
  }
  return std::optional<pid_t>(0);
}

}  // namespace

Result<Lock> Lock::take(const std::string& lock_dir, config::CtId id, std::string_view status, bool quiet) {
  const std::string path = fmt::format("{}/{}.lck", lock_dir, id);
  if (auto made = sys::make_dirs(lock_dir); !made) return cannot_lock(made.error());
  const auto own = write_own(path, ::getpid(), status);
  if (!own) return cannot_lock(own.error());
  const auto holder = link_when_free(*own, path);
  (void)sys::remove_file(*own);
  if (!holder) return cannot_lock(holder.error());
  if (!*holder) return Lock(path);
  if (**holder && !quiet) tell_holder(**holder);
  return fail(Code::locked, "Container already locked");
}

Lock::Lock(Lock&& other) noexcept : path_(std::move(other.path_)) { other.path_.clear(); }

Lock::~Lock() {
  if (path_.empty()) return;
  const auto lock = find(path_);
  if (lock && *lock && (*lock)->pid == ::getpid()) (void)sys::remove_file(path_);
}

void Lock::forget() { path_.clear(); }

Result<void> Lock::hand_over(pid_t pid, std::string_view status) {
  if (path_.empty() || !alive(pid)) return fail(Code::invalid, "the lock cannot be handed to process {}", pid);
  TRY_AS(const std::optional<Found> lock, find(path_));
  if (!lock || lock->pid != ::getpid()) return fail(Code::locked, "the lock file '{}' is no longer ours", path_);
  TRY_AS(const std::string own, write_own(path_, pid, status));
  if (::rename(own.c_str(), path_.c_str()) == 0) return {};
  const int err = errno;
  (void)sys::remove_file(own);
  return fail_sys(err, "rename '{}' to '{}'", own, path_);
}

}  // namespace vz::state
