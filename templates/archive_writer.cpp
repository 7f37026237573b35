#include "templates/archive_writer.h"

#include <unistd.h>

#include <algorithm>

#include <archive.h>
#include <archive_entry.h>

#include "templates/tar_stream.h"

namespace vz::templates {

namespace {

constexpr long kMaxThreads = 8;

struct EntryCloser {
  void operator()(archive_entry* e) const { archive_entry_free(e); }
};
using OwnedEntry = std::unique_ptr<archive_entry, EntryCloser>;

Error failed(archive* a) { return fail_sys(archive_errno(a), "write the archive: {}", archive_message(a)); }

Result<void> write_data(archive* a, std::string_view bytes) {
  while (!bytes.empty()) {
    const la_ssize_t n = archive_write_data(a, bytes.data(), bytes.size());
    if (n <= 0) return failed(a);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

Result<void> end(Writer& a) {
  if (archive_write_close(a.get()) != ARCHIVE_OK) return failed(a.get());
  a.reset();
  return {};
}

}  // namespace

// An archive that was not closed was not finished: nothing more is written to its descriptor.
void WriteCloser::operator()(archive* a) const {
  archive_write_fail(a);
  archive_write_free(a);
}

Result<ZstWriter> ZstWriter::open(int fd) {
  Writer a(archive_write_new());
  if (!a) return fail(Code::system, "out of memory");
  if (archive_write_add_filter_zstd(a.get()) != ARCHIVE_OK || archive_write_set_format_raw(a.get()) != ARCHIVE_OK)
    return fail(Code::unsupported, "libarchive cannot write zstd: {}", archive_message(a.get()));
  const long processors = std::clamp(::sysconf(_SC_NPROCESSORS_ONLN), 1L, kMaxThreads);
  // libarchive before 3.6 has no such option, and then does it on one.
  (void)archive_write_set_filter_option(a.get(), "zstd", "threads", std::to_string(processors).c_str());
  archive_write_set_bytes_in_last_block(a.get(), 1);
  if (archive_write_open_fd(a.get(), fd) != ARCHIVE_OK) return failed(a.get());
  const OwnedEntry whole(archive_entry_new());
  archive_entry_set_pathname(whole.get(), "data");
  archive_entry_set_filetype(whole.get(), AE_IFREG);
  if (archive_write_header(a.get(), whole.get()) != ARCHIVE_OK) return failed(a.get());
  return ZstWriter(std::move(a));
}

Result<void> ZstWriter::write(std::string_view bytes) { return write_data(archive_.get(), bytes); }
Result<void> ZstWriter::close() { return end(archive_); }

Result<TarWriter> TarWriter::open(int fd, int64_t time) {
  Writer a(archive_write_new());
  if (!a) return fail(Code::system, "out of memory");
  if (archive_write_set_format_pax_restricted(a.get()) != ARCHIVE_OK ||
      archive_write_open_fd(a.get(), fd) != ARCHIVE_OK)
    return failed(a.get());
  return TarWriter(std::move(a), time);
}

Result<void> TarWriter::directory(const std::string& path, mode_t mode) { return add(path, AE_IFDIR | mode, {}, {}); }
Result<void> TarWriter::file(const std::string& path, std::string_view text, mode_t mode) {
  return add(path, AE_IFREG | mode, text, {});
}
Result<void> TarWriter::symlink(const std::string& path, const std::string& target) {
  return add(path, AE_IFLNK | 0777, {}, target);
}

Result<void> TarWriter::add(const std::string& path, mode_t type_and_mode, std::string_view text,
                            const std::string& target) {
  const OwnedEntry e(archive_entry_new());
  archive_entry_set_pathname(e.get(), path.c_str());
  archive_entry_set_mode(e.get(), type_and_mode);
  archive_entry_set_size(e.get(), static_cast<int64_t>(text.size()));
  archive_entry_set_mtime(e.get(), time_, 0);
  if (!target.empty()) archive_entry_set_symlink(e.get(), target.c_str());
  if (archive_write_header(archive_.get(), e.get()) != ARCHIVE_OK) return failed(archive_.get());
  return write_data(archive_.get(), text);
}

Result<void> TarWriter::close() { return end(archive_); }

}  // namespace vz::templates
