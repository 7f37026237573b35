#include "checkpoint/pagemap.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "sys/files.h"

namespace vz::checkpoint {

namespace {

struct ScanArguments {
  uint64_t size, flags, start, end, walk_end, regions, regions_size, most_pages, inverted, mask, any_of, report;
};
struct Region {
  uint64_t start, end, categories;
};
constexpr unsigned long kScan = _IOWR('f', 16, ScanArguments);
constexpr uint64_t kIsWritten = 1u << 1, kIsPresent = 1u << 3, kIsSwapped = 1u << 4;  // categories of pages
constexpr uint64_t kProtect = 1u << 0, kCheckProtection = 1u << 1;                    // flags

// Skips what is empty, however large it is.
Result<void> scan(int pagemap, ScanArguments a, const Range& mapping, Ranges& out) {
  Region regions[512];
  a.size = sizeof a;
  a.start = mapping.address;
  a.end = mapping.end();
  a.regions = reinterpret_cast<uint64_t>(regions);
  a.regions_size = std::size(regions);
  a.any_of = kIsPresent | kIsSwapped;
  a.report = kIsPresent;
  while (a.start < a.end) {
    const int n = ::ioctl(pagemap, kScan, &a);
    if (n < 0) return fail_sys(errno, "scan memory");
    for (int i = 0; i < n; ++i) append(out, {regions[i].start, (regions[i].end - regions[i].start) / kPage});
    a.start = a.walk_end;
  }
  return {};
}

}  // namespace

Result<Pagemap> Pagemap::open(pid_t pid) {
  Pagemap p;
  TRY_AS(p.fd_, sys::open(fmt::format("/proc/{}/pagemap", pid), O_RDONLY));
  return p;
}

Result<void> Pagemap::add_filled(const Range& mapping, Ranges& out) const {
  auto scanned = scan(fd_.get(), {}, mapping, out);
  if (scanned || scanned.error().sys_errno != ENOTTY) return scanned;
  return read_filled(mapping, out);
}

bool Pagemap::is_tracked(const Range& mapping) const {
  ScanArguments a{};
  a.flags = kCheckProtection;
  Ranges ignored;
  return static_cast<bool>(scan(fd_.get(), a, {mapping.address, 1}, ignored));
}

Result<void> Pagemap::add_written(const Range& mapping, Ranges& out) const {
  ScanArguments a{};
  a.flags = kProtect | kCheckProtection;
  a.mask = kIsWritten;
  return scan(fd_.get(), a, mapping, out);
}

Result<void> Pagemap::add_unwritten(const Range& mapping, Ranges& out) const {
  ScanArguments a{};
  a.flags = kCheckProtection;
  a.mask = a.inverted = kIsWritten;
  return scan(fd_.get(), a, mapping, out);
}

// Before Linux 6.7.
Result<void> Pagemap::read_filled(const Range& mapping, Ranges& out) const {
  constexpr uint64_t kPresentBit = 1ull << 63, kSwappedBit = 1ull << 62;
  std::vector<uint64_t> entries(4096);
  for (uint64_t done = 0; done < mapping.pages;) {
    const uint64_t some = std::min<uint64_t>(entries.size(), mapping.pages - done);
    const uint64_t first = mapping.address / kPage + done;
    const ssize_t n = ::pread(fd_.get(), entries.data(), some * 8, static_cast<off_t>(first * 8));
    if (n <= 0) return n < 0 ? fail_sys(errno, "read pagemap") : Result<void>();
    const auto count = static_cast<uint64_t>(n) / 8;
    for (uint64_t i = 0; i < count; ++i)
      if (entries[i] & (kPresentBit | kSwappedBit)) append(out, {(first + i) * kPage, 1});
    done += count;
  }
  return {};
}

}  // namespace vz::checkpoint
