#include "templates/unpack.h"

#include <fcntl.h>

#include <archive_entry.h>

#include "base/strings.h"
#include "sys/files.h"
#include "sys/mounts.h"
#include "templates/confine.h"
#include "templates/entry.h"
#include "templates/tree_model.h"
#include "templates/tree_writer.h"
#include "templates/utf8_names.h"

namespace vz::templates {

namespace {

// What the stream may have beside the data: per entry, and for padding and global headers.
constexpr uint64_t kHeaderBytes = 4096;
constexpr uint64_t kExtraBytes = 64u << 20;

// Saturating: the limits are the caller's and may be the largest number there is.
uint64_t stream_limit(const UnpackLimits& limits) {
  uint64_t headers = 0, sum = 0;
  if (__builtin_mul_overflow(limits.max_entries, kHeaderBytes, &headers)) return UINT64_MAX;
  if (__builtin_add_overflow(limits.max_bytes, headers, &sum)) return UINT64_MAX;
  return __builtin_add_overflow(sum, kExtraBytes, &sum) ? UINT64_MAX : sum;
}

// Calls MAKE for each entry that the rules allow. Returns all of them.
template <class Make>
Result<TreeModel> each_entry(int fd, const UnpackLimits& limits, TarStream::Sink sink, Make make) {
  TRY_AS(const auto stream, TarStream::open(fd, stream_limit(limits), std::move(sink)));
  TreeModel model(limits);
  for (;;) {
    TRY_AS(archive_entry* const raw, stream->next());
    if (!raw) return model;
    TRY_AS(const Entry entry, read_entry(raw));
    TRY(model.admit(entry), "entry '{}'", printable(entry.path));
    TRY(make(entry, *stream), "entry '{}'", printable(entry.path));
  }
}

Result<void> unpack_fd(int archive_fd, int dir_fd, const UnpackLimits& limits) {
  TreeWriter writer(dir_fd);
  TRY(each_entry(archive_fd, limits, {},
                 [&](const Entry& entry, TarStream& stream) { return writer.add(entry, stream); }));
  return writer.finish();
}

// A fresh file system has its lost+found.
Result<void> check_empty(const std::string& dir) {
  TRY_AS(const auto names, sys::list_dir(dir));
  for (const std::string& name : names)
    if (name != "lost+found") return fail(Code::exists, "'{}' is not empty", dir);
  return {};
}

}  // namespace

Result<TreeModel> check_archive(int fd, const UnpackLimits& limits, TarStream::Sink sink) {
  return each_entry(fd, limits, std::move(sink), [](const Entry&, TarStream&) { return Result<void>(); });
}

Result<void> unpack(const std::string& file, const std::string& dir, const UnpackLimits& limits) {
  TRY_AS(const sys::UniqueFd archive, sys::open(file, O_RDONLY));
  TRY(check_empty(dir));
  TRY_AS(const sys::UniqueFd root, sys::open(dir, O_PATH | O_DIRECTORY));
  const Utf8Names names;
  TRY(unpack_fd(archive.get(), root.get(), limits), "unpack '{}'", file);
  return {};
}

Result<void> unpack_confined(const std::string& file, const std::string& dir) {
  TRY_AS(const sys::UniqueFd archive, sys::open(file, O_RDONLY));
  TRY(check_empty(dir));
  // A mount of its own: ".." at its top leads nowhere, though the descriptor lies outside the empty root.
  TRY_AS(const sys::UniqueFd root, sys::clone_tree(dir));
  const Utf8Names names;
  TRY(confine());
  TRY(unpack_fd(archive.get(), root.get(), {}), "unpack '{}'", file);
  return {};
}

}  // namespace vz::templates
