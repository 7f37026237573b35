// Writing archives with libarchive: a zstd stream of bytes that are a tarball already, and a tarball from entries.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct archive;

namespace vz::templates {

struct WriteCloser {
  void operator()(archive* a) const;
};
using Writer = std::unique_ptr<archive, WriteCloser>;

// The way every template is stored: zstd, on a few processors. FD must outlive it.
class ZstWriter {
 public:
  static Result<ZstWriter> open(int fd);
  Result<void> write(std::string_view bytes);
  Result<void> close();

 private:
  explicit ZstWriter(Writer a) : archive_(std::move(a)) {}
  Writer archive_;
};

// An uncompressed tarball; everything belongs to root and has the time given.
class TarWriter {
 public:
  static Result<TarWriter> open(int fd, int64_t time);
  Result<void> directory(const std::string& path, mode_t mode = 0755);
  Result<void> file(const std::string& path, std::string_view text, mode_t mode = 0644);
  Result<void> symlink(const std::string& path, const std::string& target);
  Result<void> close();

 private:
  TarWriter(Writer a, int64_t time) : archive_(std::move(a)), time_(time) {}
  Result<void> add(const std::string& path, mode_t type_and_mode, std::string_view text, const std::string& target);
  Writer archive_;
  int64_t time_;
};

}  // namespace vz::templates
