#include "checkpoint/memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/strings.h"
#include "checkpoint/pagemap.h"
#include "sys/files.h"
#include "sys/maps.h"
#include "sys/process.h"

namespace vz::checkpoint {

namespace {

bool lazy(const sys::Mapping& m) {
  return m.modes[3] == 'p' && m.inode == "0" && !m.name.starts_with("[v");  // vdso, vvar, vsyscall
}

}  // namespace

Result<Tasks> tasks_of(const cgroups::Group& group) {
  Tasks out;
  TRY_AS(const auto processes, group.processes());
  for (const pid_t pid : processes) {
    if (const auto pids = sys::namespace_pids(pid)) out[static_cast<uint64_t>(pids->back())] = pid;
  }
  return out;
}

Ranges lazy_mappings(std::string_view maps) {
  Ranges out;
  for (const sys::Mapping& m : sys::parse_maps(maps))
    if (lazy(m)) out.push_back({m.begin, (m.end - m.begin) / kPage});
  return out;
}

Result<Ranges> lazy_mappings(pid_t pid) {
  TRY_AS(const std::string maps, sys::read_file(fmt::format("/proc/{}/maps", pid), 64u << 20));
  return lazy_mappings(maps);
}

Result<Ranges> lazy_memory(pid_t pid) {
  TRY_AS(const Ranges mappings, lazy_mappings(pid));
  TRY_AS(const Pagemap pagemap, Pagemap::open(pid));
  Ranges out;
  for (const Range& mapping : mappings) TRY(pagemap.add_filled(mapping, out));
  return out;
}

Result<void> Memory::read(uint64_t task, uint64_t address, char* out, size_t size) {
  auto& fd = open_[task];
  if (!fd) {
    const auto found = tasks_.find(task);
    if (found == tasks_.end()) return fail(Code::peer, "there is no process {} in the container", task);
    TRY_AS(fd, sys::open(fmt::format("/proc/{}/mem", found->second), O_RDONLY));
  }
  const ssize_t n = ::pread(fd.get(), out, size, static_cast<off_t>(address));
  if (n == static_cast<ssize_t>(size)) return {};
  return fail_sys(n < 0 ? errno : EIO, "read memory of process {} at {:x}", task, address);
}

}  // namespace vz::checkpoint
