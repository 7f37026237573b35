// Tarballs that are cut off, changed, or something else altogether.
#include <sys/mman.h>
#include <unistd.h>

#include "sys/files.h"
#include "templates/test_tar.h"
#include "templates/unpack.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::templates;

namespace {

constexpr TestTar::Filter kFilters[] = {archive_write_add_filter_none,  archive_write_add_filter_gzip,
                                        archive_write_add_filter_bzip2, archive_write_add_filter_xz,
                                        archive_write_add_filter_zstd,  archive_write_add_filter_lz4};

std::string sample(TestTar::Filter filter, TestTar::Format format = TestTar::Format::pax) {
  TestTar tar(format, filter);
  tar.dir("./")
      .dir("d", 0711)
      .file("d/zeros", std::string(1500, '\0'))
      .symlink("l", "d/zeros")
      .hardlink("h", "d/zeros");
  std::string noise(3000, '\0');
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>((i * 7919) >> 3);
  tar.file("noise", noise, 04755).file("last", std::string(1024, '\0'));
  return tar.bytes();
}

sys::UniqueFd in_memory(std::string_view bytes) {
  sys::UniqueFd fd(::memfd_create("test", MFD_CLOEXEC));
  REQUIRE(fd);
  REQUIRE(sys::write_all(fd.get(), bytes));
  REQUIRE(::lseek(fd.get(), 0, SEEK_SET) == 0);
  return fd;
}

Result<TreeModel> check(std::string_view bytes) { return check_archive(in_memory(bytes).get(), {}); }

Result<void> unpack_bytes(const tests::TempDir& dir, const std::string& bytes) {
  REQUIRE(sys::remove_tree(dir.path + "/box"));
  REQUIRE(sys::make_dirs(dir.path + "/box"));
  REQUIRE(sys::replace_file(dir.path + "/a.tar", bytes));
  return unpack(dir.path + "/a.tar", dir.path + "/box");
}

// The start of the end marker: an archive cut off behind its first block is complete enough for every tar.
size_t end_marker(std::string_view tar) { return tar.find_last_not_of('\0') / 512 * 512 + 512 + 1024; }

}  // namespace

TEST_CASE("damage: whole archives are fine, whatever compresses them") {
  for (const auto filter : kFilters)
    for (const auto format : {TestTar::Format::pax, TestTar::Format::gnu}) CHECK(check(sample(filter, format)));
}

TEST_CASE("damage: a tarball cut off anywhere is an error") {
  const std::string whole = sample(archive_write_add_filter_none);
  const size_t marker = end_marker(whole);
  for (size_t size = 0; size < marker + 512; size += size % 512 == 511 ? 1 : 37) {
    INFO(size << " of " << whole.size());
    CHECK(!check(whole.substr(0, size)));
  }
  for (size_t size = 0; size < marker + 512; size += 512) {
    INFO(size << " of " << whole.size());
    CHECK(!check(whole.substr(0, size)));
  }
  CHECK(check(whole.substr(0, marker + 512)));
}

TEST_CASE("damage: a compressed tarball cut off anywhere is an error") {
  for (const auto filter : kFilters) {
    if (filter == archive_write_add_filter_none) continue;
    const std::string whole = sample(filter);
    for (size_t size = 0; size < whole.size(); size += size + 32 < whole.size() ? 9 : 1) {
      INFO(size << " of " << whole.size());
      CHECK(!check(whole.substr(0, size)));
    }
  }
}

TEST_CASE("damage: a changed byte gives an error or another archive, never a crash or a file elsewhere") {
  const tests::TempDir dir;
  for (const auto filter : kFilters) {
    const std::string whole = sample(filter);
    for (size_t at = 0; at < whole.size(); at += 61) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ (1 << (at % 8)));
      INFO(at << " of " << whole.size());
      (void)unpack_bytes(dir, changed);
      CHECK(sys::list_dir(dir.path).value_or({}) == std::vector<std::string>{"a.tar", "box"});
    }
  }
}

// libarchive does not look at gzip's checksum, and its zstd streams have none.
TEST_CASE("damage: xz and bzip2 tell every change of the data") {
  for (const auto filter : {archive_write_add_filter_xz, archive_write_add_filter_bzip2}) {
    const std::string whole = sample(filter);
    for (size_t at = 20; at + 40 < whole.size(); at += 11) {
      std::string changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x10);
      INFO(at << " of " << whole.size());
      CHECK(!check(changed));
    }
  }
}

TEST_CASE("damage: what is no tarball") {
  for (const std::string& bytes :
       {std::string(), std::string("#!/bin/sh\nexit\n"), std::string(20000, 'A'), std::string("\x1f\x8b"),
        std::string("\x28\xb5\x2f\xfd"), std::string("PK\3\4abcdefghijklmnop")}) {
    INFO(bytes.substr(0, 20));
    const auto r = check(bytes);
    REQUIRE(!r);
    CHECK(r.error().code == Code::invalid);
  }
}

TEST_CASE("damage: something behind the end") {
  for (const auto filter : {archive_write_add_filter_none, archive_write_add_filter_gzip}) {
    const std::string twice = sample(filter) + sample(filter);
    const auto r = check(twice);
    REQUIRE(!r);
    CHECK(r.error().text.find("follows the end") != std::string::npos);
  }
  CHECK(check(sample(archive_write_add_filter_none) + std::string(100'000, '\0')));
  const auto r = check(sample(archive_write_add_filter_none) + std::string(300'000, '\0') + "x");
  CHECK(!r);
}

TEST_CASE("damage: a bomb is stopped by the limits") {
  TestTar tar(TestTar::Format::pax, archive_write_add_filter_zstd);
  const std::string bytes = tar.file("bomb", std::string(32u << 20, '\0')).bytes();
  REQUIRE(bytes.size() < 20'000);
  const auto r = check_archive(in_memory(bytes).get(), {1u << 20, 10});
  REQUIRE(!r);
  CHECK(r.error().text.find("bytes of files") != std::string::npos);
}
