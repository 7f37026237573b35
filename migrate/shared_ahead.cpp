#include "migrate/shared_ahead.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "checkpoint/criu_images.h"
#include "migrate/tmpfs_ahead.h"
#include "sys/files.h"
#include "sys/process.h"

namespace vz::migrate {

namespace {

using checkpoint::kPage;
using checkpoint::Range;
using checkpoint::Ranges;

constexpr uint64_t kMuchShared = 8u << 20;
constexpr size_t kMostSegments = 64;
constexpr uint64_t kChunk = 24 * kPage;  // larger ones cost malloc a mapping of fresh pages each
constexpr std::string_view kPagemap = "pagemap-shmem-", kImage = ".img";

Result<std::string> read_at(int fd, uint64_t at, uint64_t size) {
  std::string out(size, 0);
  for (size_t done = 0; done < size;) {
    const ssize_t n = ::pread(fd, out.data() + done, size - done, static_cast<off_t>(at + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_sys(n < 0 ? errno : EIO, "read shared memory");
    done += static_cast<size_t>(n);
  }
  return out;
}

Result<void> write_at(int fd, uint64_t at, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_sys(errno, "write shared memory");
    bytes.remove_prefix(static_cast<size_t>(n));
    at += static_cast<uint64_t>(n);
  }
  return {};
}

// RANGES in pieces of kChunk.
Result<void> for_chunks(const Ranges& ranges, const std::function<Result<void>(uint64_t at, uint64_t size)>& act) {
  for (const Range& r : ranges)
    for (uint64_t at = r.address; at < r.end(); at += kChunk) TRY(act(at, std::min(kChunk, r.end() - at)));
  return {};
}

Result<void> send_pages(const Wire& wire, uint64_t id, uint64_t at, std::string_view bytes) {
  std::string body(reinterpret_cast<const char*>(&at), sizeof at);
  return wire.send(fmt::format("pages {}", id), body.append(bytes));
}

// Of THEN and NOW, which lie at AT, the pages that differ.
Result<void> send_difference(const Wire& wire, uint64_t id, uint64_t at, std::string_view then, std::string_view now) {
  const auto same = [&](size_t page) { return now.substr(page, kPage) == then.substr(page, kPage); };
  for (size_t begin = 0; begin < now.size(); begin += kPage) {
    if (same(begin)) continue;
    size_t end = begin + kPage;
    while (end < now.size() && !same(end)) end += kPage;
    TRY(send_pages(wire, id, at + begin, now.substr(begin, end - begin)));
    begin = end;
  }
  return {};
}

}  // namespace

std::vector<checkpoint::SharedSegment> SharedAhead::find(const checkpoint::Tasks& tasks) {
  auto all = checkpoint::shared_segments(tasks);
  std::erase_if(all, [](const checkpoint::SharedSegment& s) { return s.size < kMuchShared; });
  return all;
}

Result<void> SharedAhead::copy(const Wire& wire, const std::vector<checkpoint::SharedSegment>& segments,
                               const std::string& images, Pace pace) {
  for (const checkpoint::SharedSegment& s : segments) {
    if (all_.size() == kMostSegments) return {};
    const auto segment = sys::open(s.path, O_RDONLY);
    const auto pages = segment ? checkpoint::filled_pages(segment->get()) : Result<Ranges>(segment.error());
    if (!pages) {  // its process may have ended
      log::detail("shared memory does not go ahead: {}", pages.error().text);
      continue;
    }
    struct stat st {};
    if (checkpoint::size_of(*pages) < kMuchShared || ::fstat(segment->get(), &st) != 0) continue;
    Kept kept{static_cast<uint64_t>(st.st_size), *pages, fmt::format("{}/shared/{}", images, s.id)};
    TRY(sys::make_dirs(images + "/shared", 0700));
    TRY_AS(const sys::UniqueFd file, sys::open(kept.path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    TRY(wire.send(fmt::format("share {}", s.id),
                  fmt::format("{} {} {} {}", kept.size, st.st_uid, st.st_gid, st.st_mode & 07777)));
    auto copied = for_chunks(*pages, [&](uint64_t at, uint64_t size) -> Result<void> {
      TRY_AS(const std::string bytes, read_at(segment->get(), at, size));
      TRY(sys::write_all(file.get(), bytes));
      TRY(send_pages(wire, s.id, at, bytes));
      pace.spend(size);
      return {};
    });
    TRY(copied);
    all_.emplace(s.id, std::move(kept));
  }
  return {};
}

bool SharedAhead::knows(std::string_view pagemap) const {
  if (!pagemap.starts_with(kPagemap) || !pagemap.ends_with(kImage)) return false;
  pagemap.remove_prefix(kPagemap.size());
  pagemap.remove_suffix(kImage.size());
  const auto id = parse_u64(pagemap);
  return id && all_.contains(*id);
}

Result<void> SharedAhead::send_changes(const Wire& wire, const checkpoint::Tasks& tasks) const {
  if (all_.empty()) return {};
  for (const checkpoint::SharedSegment& s : checkpoint::shared_segments(tasks)) {
    const auto it = all_.find(s.id);
    if (it == all_.end()) continue;
    const Kept& kept = it->second;
    TRY_AS(const sys::UniqueFd then, sys::open(kept.path, O_RDONLY));
    TRY_AS(const sys::UniqueFd now, sys::open(s.path, O_RDONLY));
    TRY_AS(const Ranges pages, checkpoint::filled_pages(now.get()));
    if (const auto st = sys::stat(s.path); !st || static_cast<uint64_t>(st->st_size) != kept.size)
      return fail(Code::checkpoint_failed, "the CT changed the size of shared memory meanwhile: try again");
    uint64_t place = 0;
    auto compared = for_chunks(kept.pages, [&](uint64_t at, uint64_t size) -> Result<void> {
      TRY_AS(const std::string old, read_at(then.get(), place, size));
      TRY_AS(const std::string fresh, read_at(now.get(), at, size));  // a hole, too, reads as zeroes
      place += size;
      return send_difference(wire, s.id, at, old, fresh);
    });
    TRY(compared);
    auto added = for_chunks(checkpoint::subtract(pages, kept.pages), [&](uint64_t at, uint64_t size) -> Result<void> {
      TRY_AS(const std::string fresh, read_at(now.get(), at, size));
      return send_pages(wire, s.id, at, fresh);
    });
    TRY(added);
  }
  return {};
}

namespace {

// Bytes for a place; none: that was all, which is answered by one byte.
struct Header {
  uint64_t at = 0, size = 0;
};

Result<void> receive_all(int socket, void* out, size_t size) {
  const ssize_t n = ::recv(socket, out, size, MSG_WAITALL);
  return n == static_cast<ssize_t>(size) ? Result<void>() : fail(Code::peer, "the receiver has ended");
}

// Memory is charged to who writes it first: this process is of the container.
Result<void> write_segment(const runtime::Container& ct, int from, int memory) {
  TRY(join_memory(ct));
  for (;;) {
    Header h;
    TRY(receive_all(from, &h, sizeof h));
    if (h.size == 0) return sys::write_all(from, "w");
    std::string bytes(h.size, 0);
    TRY(receive_all(from, bytes.data(), bytes.size()));
    TRY(write_at(memory, h.at, bytes));
  }
}

}  // namespace

const SharedThere::Segment* SharedThere::find(std::string_view segment) const {
  const auto id = parse_u64(segment);
  const auto it = id ? all_.find(*id) : all_.end();
  return it == all_.end() ? nullptr : &it->second;
}

Result<void> SharedThere::share(const runtime::Container& ct, std::string_view segment, std::string_view body) {
  const auto id = parse_u64(segment);
  std::vector<uint64_t> numbers;
  for (const std::string_view word : words(body)) numbers.push_back(parse_u64(word).value_or(UINT64_MAX));
  if (!id || find(segment) || all_.size() == kMostSegments || numbers.size() != 4 || numbers[0] % kPage != 0 ||
      numbers[0] > INT64_MAX || numbers[1] > UINT32_MAX || numbers[2] > UINT32_MAX || numbers[3] > 07777)
    return fail(Code::peer, "bad description of shared memory '{}'", printable(body));
  Segment s;
  s.size = numbers[0];
  s.memory.reset(::memfd_create("/dev/zero", MFD_CLOEXEC));  // as criu calls it
  if (!s.memory || ::ftruncate(s.memory.get(), static_cast<off_t>(s.size)) != 0 ||
      ::fchown(s.memory.get(), static_cast<uid_t>(numbers[1]), static_cast<gid_t>(numbers[2])) != 0 ||
      ::fchmod(s.memory.get(), static_cast<mode_t>(numbers[3])) != 0)
    return fail_sys(errno, "make shared memory");
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_sys(errno, "socketpair");
  const sys::UniqueFd from(ends[0]);
  s.writer.reset(ends[1]);
  TRY_AS(const sys::Forked writer, sys::fork_process());
  if (writer.pid == 0) {
    sys::detach({from.get(), s.memory.get()});
    ::_exit(write_segment(ct, from.get(), s.memory.get()) ? 0 : 1);
  }
  all_.emplace(*id, std::move(s));
  return {};
}

Result<void> SharedThere::put(std::string_view segment, std::string_view body) const {
  const Segment* s = find(segment);
  Header h;
  if (!s || body.size() <= sizeof h.at) return fail(Code::peer, "bad pages of shared memory");
  std::memcpy(&h.at, body.data(), sizeof h.at);
  body.remove_prefix(sizeof h.at);
  h.size = body.size();
  if (h.at > s->size || h.size > s->size - h.at) return fail(Code::peer, "pages behind the end of shared memory");
  std::string out(reinterpret_cast<const char*>(&h), sizeof h);
  return sys::write_all(s->writer.get(), out.append(body));
}

Result<void> SharedThere::finish(const std::string& images) const {
  if (all_.empty()) return {};
  for (const auto& [id, s] : all_) {
    const Header end;
    char word = 0;
    TRY(sys::write_all(s.writer.get(), {reinterpret_cast<const char*>(&end), sizeof end}));
    if (!receive_all(s.writer.get(), &word, 1))
      return fail(Code::restore_failed, "shared memory could not be filled: is the CT's RAM too small?");
  }
  std::set<uint64_t> ids;
  for (const auto& [id, s] : all_) ids.insert(id);
  const std::string path = images + "/memfd.img";
  TRY_AS(const std::string image, sys::read_file(path));
  const auto named = checkpoint::name_segments(image, ids);
  if (!named) {  // all who shared it have ended
    log::detail("{}", named.error().text);
    return {};
  }
  return sys::replace_file(path, *named, 0644, false);
}

std::map<uint64_t, int> SharedThere::segments() const {
  std::map<uint64_t, int> out;
  for (const auto& [id, s] : all_) out.emplace(id, s.memory.get());
  return out;
}

}  // namespace vz::migrate
