#include "checkpoint/write_tracker.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "checkpoint/tracee.h"
#include "sys/process.h"

namespace vz::checkpoint {

namespace {

// Newer than the headers of Debian 12.
constexpr uint64_t kWriteProtect = 1u << 0, kUnpopulated = 1u << 13, kAsync = 1u << 15;  // features
constexpr uint64_t kUserModeOnly = 1;  // all that a user may have without vm.unprivileged_userfaultfd

Result<void> set_up(int uffd) {
  uffdio_api api{.api = UFFD_API, .features = kWriteProtect | kUnpopulated | kAsync, .ioctls = 0};
  return ::ioctl(uffd, UFFDIO_API, &api) == 0 ? Result<void>() : fail_sys(errno, "userfaultfd");
}

Result<sys::UniqueFd> take_fd(pid_t pid, uint64_t fd) {
  TRY_AS(const sys::UniqueFd pidfd, sys::open_pidfd(pid));
  sys::UniqueFd taken(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), static_cast<int>(fd), 0)));
  return taken ? Result<sys::UniqueFd>(std::move(taken)) : fail_sys(errno, "take a descriptor of process {}", pid);
}

}  // namespace

std::string cannot_track_writes() {
#ifdef __x86_64__
  const sys::UniqueFd uffd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | kUserModeOnly)));
  if (uffd && set_up(uffd.get())) return "";
  return "this kernel does not tell which memory is written (userfaultfd(2), Linux 6.7)";
#else
  return "not on this machine";
#endif
}

Result<WriteTracker> WriteTracker::begin(pid_t pid) {
  WriteTracker t;
  t.pid_ = pid;
  TRY_AS(const auto tracee, Tracee::stop(pid));
  TRY_AS(const uint64_t fd, tracee->call(SYS_userfaultfd, {O_CLOEXEC | O_NONBLOCK | kUserModeOnly}));
  auto taken = take_fd(pid, fd);
  TRY(tracee->call(SYS_close, {fd}));
  if (!taken) return std::move(taken).error();
  t.uffd_ = std::move(*taken);
  TRY(set_up(t.uffd_.get()));
  return t;
}

// False: MAPPING is not ours to watch. It may be watched by the tracker of a process that shares its memory (vfork(2)).
// One that is not watched yet may hold pages that were protected elsewhere and have moved here, which would seem
// unwritten: Linux before 6.13 leaves them their mark.
bool WriteTracker::protect(const Range& mapping, const Pagemap& pagemap) const {
  const uffdio_range range{.start = mapping.address, .len = mapping.pages * kPage};
  const bool is_new = !pagemap.is_tracked(mapping);
  uffdio_register all{.range = range, .mode = UFFDIO_REGISTER_MODE_WP, .ioctls = 0};
  if (::ioctl(uffd_.get(), UFFDIO_REGISTER, &all) != 0) return false;
  uffdio_writeprotect none{.range = range, .mode = 0};
  return !is_new || ::ioctl(uffd_.get(), UFFDIO_WRITEPROTECT, &none) == 0;
}

// The pagemap is opened each time: the process may have executed another program, whose memory is another one.
Result<WriteTracker::Look> WriteTracker::look(const Ranges& mappings) const {
  TRY_AS(const Pagemap pagemap, Pagemap::open(pid_));
  Look out;
  for (const Range& mapping : mappings)
    if (!protect(mapping, pagemap) || !pagemap.add_written(mapping, out.written)) append(out.unknown, mapping);
  return out;
}

Result<Ranges> WriteTracker::unwritten(const Ranges& mappings) const {
  TRY_AS(const Pagemap pagemap, Pagemap::open(pid_));
  Ranges out;
  for (const Range& mapping : mappings)
    if (pagemap.is_tracked(mapping) && protect(mapping, pagemap)) (void)pagemap.add_unwritten(mapping, out);
  return out;
}

}  // namespace vz::checkpoint
