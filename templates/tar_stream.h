// Reading a compressed tarball: libarchive decompresses, and a second libarchive reader takes the tar apart. Two,
// because one alone stops at the end marker and never looks at the checksums behind it, and takes a missing marker for
// the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct archive;
struct archive_entry;

namespace vz::templates {

struct ReadCloser {
  void operator()(archive* a) const;
};
using Reader = std::unique_ptr<archive, ReadCloser>;

// What is wrong with an archive object, for an error text.
std::string archive_message(archive* a);

struct Block {
  std::string_view bytes;
  uint64_t offset = 0;  // in the file; what lies between blocks is a hole
};

class TarStream {
 public:
  // Gets every decompressed byte in order, as it is read.
  using Sink = std::function<Result<void>(std::string_view)>;
  // FD must outlive the stream. MAX_BYTES bounds the decompressed stream.
  static Result<std::unique_ptr<TarStream>> open(int fd, uint64_t max_bytes, Sink sink = {});
  TarStream(const TarStream&) = delete;
  TarStream& operator=(const TarStream&) = delete;

  // The next entry, valid until the next call; nullptr at the end, which is then complete and undamaged.
  Result<archive_entry*> next();
  // The next block of the entry's data; false at its end.
  Result<bool> read_block(Block& block);

 private:
  TarStream(uint64_t max_bytes, Sink sink) : max_bytes_(max_bytes), sink_(std::move(sink)) {}
  static ptrdiff_t feed(archive* a, void* self, const void** buffer);
  ptrdiff_t fill(const void** buffer);
  Result<void> finish();
  Error failed(archive* a);

  uint64_t max_bytes_;
  Sink sink_;
  uint64_t delivered_ = 0;      // decompressed bytes so far
  std::string_view last_;       // the newest of them, in raw_'s buffer
  std::optional<Error> error_;  // of fill(), which cannot return one through libarchive
  Reader raw_;
  Reader tar_;
};

}  // namespace vz::templates
