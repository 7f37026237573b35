// Tarballs for the unit tests, made in memory.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>

#include <archive.h>
#include <archive_entry.h>

namespace vz::templates {

class TestTar {
 public:
  using Change = std::function<void(archive_entry*)>;
  enum class Format { pax, gnu };
  using Filter = int (*)(archive*);

  explicit TestTar(Format format = Format::pax, Filter filter = archive_write_add_filter_none)
      : archive_(archive_write_new()), memory_(kCapacity, '\0') {
    filter(archive_);
    if (format == Format::pax)
      archive_write_set_format_pax(archive_);
    else
      archive_write_set_format_gnutar(archive_);
    archive_write_open_memory(archive_, memory_.data(), memory_.size(), &used_);
  }
  ~TestTar() { archive_write_free(archive_); }
  TestTar(const TestTar&) = delete;
  TestTar& operator=(const TestTar&) = delete;

  TestTar& add(const std::string& path, mode_t type_and_mode, std::string_view text = {}, const Change& change = {}) {
    archive_entry* e = archive_entry_new();
    archive_entry_set_mode(e, type_and_mode);
    archive_entry_copy_pathname(e, path.c_str());
    archive_entry_set_uid(e, ::geteuid());
    archive_entry_set_gid(e, ::getegid());
    archive_entry_set_mtime(e, kTime, 123456789);
    archive_entry_set_size(e, static_cast<int64_t>(text.size()));
    if (change) change(e);
    if (archive_write_header(archive_, e) < ARCHIVE_WARN) std::abort();
    if (!text.empty()) archive_write_data(archive_, text.data(), text.size());
    archive_entry_free(e);
    return *this;
  }
  TestTar& file(const std::string& path, std::string_view text, mode_t mode = 0644, const Change& change = {}) {
    return add(path, AE_IFREG | mode, text, change);
  }
  TestTar& dir(const std::string& path, mode_t mode = 0755, const Change& change = {}) {
    return add(path, AE_IFDIR | mode, {}, change);
  }
  TestTar& symlink(const std::string& path, const std::string& target) {
    return add(path, AE_IFLNK | 0777, {}, [&](archive_entry* e) { archive_entry_copy_symlink(e, target.c_str()); });
  }
  TestTar& hardlink(const std::string& path, const std::string& target) {
    return add(path, AE_IFREG | 0644, {}, [&](archive_entry* e) { archive_entry_copy_hardlink(e, target.c_str()); });
  }
  TestTar& device(const std::string& path, mode_t type, unsigned major, unsigned minor) {
    return add(path, type | 0600, {}, [&](archive_entry* e) {
      archive_entry_set_rdevmajor(e, major);
      archive_entry_set_rdevminor(e, minor);
    });
  }
  // The finished archive.
  std::string bytes() {
    archive_write_close(archive_);
    return memory_.substr(0, used_);
  }

  static constexpr int64_t kTime = 1'500'000'000;

 private:
  static constexpr size_t kCapacity = 2u << 20;
  archive* archive_;
  std::string memory_;
  size_t used_ = 0;
};

}  // namespace vz::templates
