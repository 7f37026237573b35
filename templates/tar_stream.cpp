#include "templates/tar_stream.h"

#include <algorithm>

#include <archive.h>
#include <archive_entry.h>

#include "base/strings.h"

namespace vz::templates {

namespace {

constexpr size_t kReadBlock = 256 * 1024;
constexpr uint64_t kTarBlock = 512;
constexpr uint64_t kMaxPadding = 64u << 20;

// Only what libarchive has built in: a filter that it would run as an external program is not enabled.
bool enable_filters(archive* a) {
  using Enable = int (*)(archive*);
  constexpr Enable kFilters[] = {archive_read_support_filter_gzip, archive_read_support_filter_bzip2,
                                 archive_read_support_filter_xz,   archive_read_support_filter_lzma,
                                 archive_read_support_filter_zstd, archive_read_support_filter_lz4,
                                 archive_read_support_filter_lzip, archive_read_support_filter_compress};
  return std::all_of(std::begin(kFilters), std::end(kFilters), [a](Enable enable) { return enable(a) == ARCHIVE_OK; });
}

bool all_zero(std::string_view bytes) { return bytes.find_first_not_of('\0') == std::string_view::npos; }

}  // namespace

void ReadCloser::operator()(archive* a) const { archive_read_free(a); }

std::string archive_message(archive* a) {
  const char* text = archive_error_string(a);
  return text ? printable(text) : "unknown error";
}

Error TarStream::failed(archive* a) {
  if (error_) return *error_;
  return fail(Code::invalid, "damaged or not a tarball: {}", archive_message(a));
}

Result<std::unique_ptr<TarStream>> TarStream::open(int fd, uint64_t max_bytes, Sink sink) {
  std::unique_ptr<TarStream> s(new TarStream(max_bytes, std::move(sink)));
  s->raw_.reset(archive_read_new());
  s->tar_.reset(archive_read_new());
  if (!s->raw_ || !s->tar_) return fail(Code::system, "out of memory");
  if (!enable_filters(s->raw_.get())) return fail(Code::unsupported, "libarchive: {}", archive_message(s->raw_.get()));
  archive_read_support_format_raw(s->raw_.get());
  archive_read_support_format_tar(s->tar_.get());
  archive_entry* whole = nullptr;
  const int opened = archive_read_open_fd(s->raw_.get(), fd, kReadBlock);
  if (opened != ARCHIVE_OK) return s->failed(s->raw_.get());
  const int header = archive_read_next_header(s->raw_.get(), &whole);
  if (header == ARCHIVE_EOF) return fail(Code::invalid, "it is empty");
  if (header != ARCHIVE_OK) return s->failed(s->raw_.get());
  if (archive_read_open(s->tar_.get(), s.get(), nullptr, feed, nullptr) != ARCHIVE_OK) return s->failed(s->tar_.get());
  return s;
}

ptrdiff_t TarStream::feed(archive*, void* self, const void** buffer) {
  return static_cast<TarStream*>(self)->fill(buffer);
}

// The next decompressed bytes: their number, 0 at the end, -1 with error_ set.
ptrdiff_t TarStream::fill(const void** buffer) {
  if (error_) return -1;
  size_t size = 0;
  int64_t offset = 0;
  do {
    const int r = archive_read_data_block(raw_.get(), buffer, &size, &offset);
    if (r == ARCHIVE_EOF) return 0;
    if (r != ARCHIVE_OK) {
      error_ = fail(Code::invalid, "damaged: {}", archive_message(raw_.get()));
      return -1;
    }
  } while (size == 0);
  delivered_ += size;
  if (delivered_ > max_bytes_) {
    error_ = fail(Code::invalid, "unpacks to more than {} bytes", max_bytes_);
    return -1;
  }
  last_ = {static_cast<const char*>(*buffer), size};
  if (sink_) {
    if (auto r = sink_(last_); !r) {
      error_ = std::move(r).error();
      return -1;
    }
  }
  return static_cast<ptrdiff_t>(size);
}

Result<archive_entry*> TarStream::next() {
  archive_entry* entry = nullptr;
  const int r = archive_read_next_header(tar_.get(), &entry);
  if (r == ARCHIVE_OK) return entry;
  if (r != ARCHIVE_EOF) return failed(tar_.get());
  TRY(finish());
  return static_cast<archive_entry*>(nullptr);
}

// The tar reader is content: is the end marker really there, and is what follows intact and nothing but padding?
Result<void> TarStream::finish() {
  const auto marker = static_cast<uint64_t>(archive_read_header_position(tar_.get()));
  const uint64_t seen = delivered_;
  const void* buffer = nullptr;
  ptrdiff_t n = 0;
  const uint64_t first = delivered_ - last_.size();
  bool clean = all_zero(last_.substr(std::min<uint64_t>(last_.size(), marker > first ? marker - first : 0)));
  while ((n = fill(&buffer)) > 0) {
    clean = clean && all_zero(last_);
    if (delivered_ - seen > kMaxPadding)
      return fail(Code::invalid, "damaged: endless padding after the end of the archive");
  }
  if (n < 0) return *error_;
  if (!clean) return fail(Code::invalid, "damaged: something follows the end of the archive");
  if (delivered_ < marker + kTarBlock) return fail(Code::invalid, "truncated: the end of the archive is missing");
  return {};
}

Result<bool> TarStream::read_block(Block& block) {
  const void* buffer = nullptr;
  size_t size = 0;
  int64_t offset = 0;
  const int r = archive_read_data_block(tar_.get(), &buffer, &size, &offset);
  if (r == ARCHIVE_EOF) return false;
  if (r != ARCHIVE_OK) return failed(tar_.get());
  block = {{static_cast<const char*>(buffer), size}, static_cast<uint64_t>(offset)};
  return true;
}

}  // namespace vz::templates
