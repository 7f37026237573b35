#include "checkpoint/memory.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/strings.h"
#include "sys/files.h"
#include "sys/maps.h"
#include "sys/process.h"

namespace vz::checkpoint {

namespace {

bool lazy(const sys::Mapping& m) {
  return m.modes[3] == 'p' && m.inode == "0" && !m.name.starts_with("[v");  // vdso, vvar, vsyscall
}

// PAGEMAP_SCAN (Linux 6.7, Documentation/admin-guide/mm/pagemap.rst): skips what is empty, however large it is.
struct ScanArguments {
  uint64_t size, flags, start, end, walk_end, regions, regions_size, most_pages, inverted, mask, any_of, report;
};
struct Region {
  uint64_t start, end, categories;
};
constexpr unsigned long kScan = _IOWR('f', 16, ScanArguments);
constexpr uint64_t kIsPresent = 1u << 3, kIsSwapped = 1u << 4;

void add(std::vector<Range>& out, const Range& more) {
  if (!out.empty() && out.back().address + out.back().pages * kPage == more.address)
    out.back().pages += more.pages;
  else
    out.push_back(more);
}

Result<void> scan_filled(int pagemap, const Range& mapping, std::vector<Range>& out) {
  std::vector<Region> regions(1024);
  ScanArguments a{};
  a.size = sizeof a;
  a.start = mapping.address;
  a.end = mapping.address + mapping.pages * kPage;
  a.regions = reinterpret_cast<uint64_t>(regions.data());
  a.regions_size = regions.size();
  a.any_of = a.report = kIsPresent | kIsSwapped;
  while (a.start < a.end) {
    const int n = ::ioctl(pagemap, kScan, &a);
    if (n < 0) return fail_sys(errno, "scan memory");
    for (int i = 0; i < n; ++i) add(out, {regions[i].start, (regions[i].end - regions[i].start) / kPage});
    a.start = a.walk_end;
  }
  return {};
}

// Before Linux 6.7.
Result<void> read_filled(int pagemap, const Range& mapping, std::vector<Range>& out) {
  constexpr uint64_t kPresent = 1ull << 63, kSwapped = 1ull << 62;
  std::vector<uint64_t> entries(4096);
  for (uint64_t done = 0; done < mapping.pages;) {
    const uint64_t some = std::min<uint64_t>(entries.size(), mapping.pages - done);
    const uint64_t first = mapping.address / kPage + done;
    const ssize_t n = ::pread(pagemap, entries.data(), some * 8, static_cast<off_t>(first * 8));
    if (n <= 0) return n < 0 ? fail_sys(errno, "read pagemap") : Result<void>();
    const auto count = static_cast<uint64_t>(n) / 8;
    for (uint64_t i = 0; i < count; ++i)
      if (entries[i] & (kPresent | kSwapped)) add(out, {(first + i) * kPage, 1});
    done += count;
  }
  return {};
}

// Runs of pages of MAPPING that there is something in.
Result<void> add_filled(int pagemap, const Range& mapping, std::vector<Range>& out) {
  auto scanned = scan_filled(pagemap, mapping, out);
  if (scanned || scanned.error().sys_errno != ENOTTY) return scanned;
  return read_filled(pagemap, mapping, out);
}

}  // namespace

Result<Tasks> tasks_of(const cgroups::Group& group) {
  Tasks out;
  TRY_AS(const auto processes, group.processes());
  for (const pid_t pid : processes) {
    TRY_AS(const auto pids, sys::namespace_pids(pid));
    out[static_cast<uint64_t>(pids.back())] = pid;
  }
  return out;
}

std::vector<Range> lazy_mappings(std::string_view maps) {
  std::vector<Range> out;
  for (const sys::Mapping& m : sys::parse_maps(maps))
    if (lazy(m)) out.push_back({m.begin, (m.end - m.begin) / kPage});
  return out;
}

Result<std::vector<Range>> lazy_memory(pid_t pid) {
  TRY_AS(const std::string maps, sys::read_file(fmt::format("/proc/{}/maps", pid), 64u << 20));
  TRY_AS(const sys::UniqueFd pagemap, sys::open(fmt::format("/proc/{}/pagemap", pid), O_RDONLY));
  std::vector<Range> out;
  for (const Range& mapping : lazy_mappings(maps)) TRY(add_filled(pagemap.get(), mapping, out));
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
