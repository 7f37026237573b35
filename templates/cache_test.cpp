#include <unistd.h>

#include <cstdio>

#include "sys/files.h"
#include "templates/cache.h"
#include "templates/templates.h"
#include "templates/test_tar.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::templates;

namespace {

struct Cache {
  tests::TempDir dir;
  std::string path = dir.path + "/cache", file = dir.path + "/in";
  Cache() { REQUIRE(sys::make_dirs(path)); }
  void put(const std::string& name, std::string_view text = "x") const {
    REQUIRE(sys::replace_file(path + "/" + name, text));
  }
  std::vector<std::string> files() const { return sys::list_dir(path).value_or({"?"}); }
  Result<Template> import(const std::string& bytes, const std::string& name = "t") const {
    REQUIRE(sys::replace_file(file, bytes));
    return templates::import(path, file, name);
  }
};

std::string sample(TestTar::Filter filter, const char* text = "hello") {
  TestTar tar(TestTar::Format::pax, filter);
  return tar.dir("./").file("./f", text).file("sbin/init", "x", 0755).file("bin/sh", "x", 0755).bytes();
}

// import() shuts its reader in, which takes root.
bool root_only() {
  if (::geteuid() == 0) return true;
  std::printf("skipped: import needs root\n");
  return false;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("template names") {
  for (const char* name : {"debian-12", "centos-6-x86_64", "a", "A.b+c_d-e", "0"}) CHECK(valid_name(name));
  for (const std::string name : {"", ".hidden", "-x", "a/b", "../x", "a..b", "a b", "a\n", "\xc3\xa9", "+a"}) {
    INFO(name);
    CHECK(!valid_name(name));
  }
  CHECK(valid_name(std::string(128, 'a')));
  CHECK(!valid_name(std::string(129, 'a')));
}

TEST_CASE("cache: list is sorted and knows archives by their names") {
  const Cache c;
  for (const char* name :
       {"b.tar.gz", "a.tar", "c.tar.zst", "d.tar.xz", ".hidden.tar.gz", "notes.txt", "e.zip", ".t.tar.zst.new"})
    c.put(name, "12345");
  REQUIRE(sys::make_dirs(c.path + "/dir.tar.gz"));
  REQUIRE(::symlink("nowhere", (c.path + "/dangling.tar").c_str()) == 0);
  const auto all = list(c.path);
  REQUIRE(all);
  Names names;
  for (const Template& t : *all) names.push_back(t.name);
  CHECK(names == Names{"a", "b", "c", "d"});
  CHECK((*all)[1].path == c.path + "/b.tar.gz");
  CHECK((*all)[1].bytes == 5);
  CHECK((*all)[1].modified > 1'500'000'000);
  CHECK(list(c.path + "/absent").value_or({Template{}}).empty());
}

TEST_CASE("cache: find prefers the older forms, and remove takes all") {
  const Cache c;
  const char* const order[] = {"t.tar", "t.tar.gz", "t.tar.bz2", "t.tar.xz", "t.tar.zst", "t.tar.lzma"};
  for (const char* name : order) c.put(name);
  for (const char* name : order) {
    const auto found = find(c.path, "t");
    REQUIRE(found);
    CHECK(found->path == c.path + "/" + name);
    REQUIRE(sys::remove_file(c.path + "/" + name));
  }
  CHECK(find(c.path, "t").error().code == Code::template_missing);
  for (const char* name : order) c.put(name);
  c.put("t2.tar.gz");
  CHECK(remove(c.path, "t"));
  CHECK(c.files() == Names{"t2.tar.gz"});
  CHECK(remove(c.path, "t").error().code == Code::template_missing);
}

TEST_CASE("cache: a name never leads out of it") {
  const Cache c;
  REQUIRE(sys::replace_file(c.dir.path + "/secret.tar", "x"));
  for (const char* name : {"../secret", "/etc/passwd", "", ".", "x/../../secret"}) {
    INFO(name);
    CHECK(find(c.path, name).error().code == Code::template_missing);
    CHECK(remove(c.path, name).error().code == Code::template_missing);
    CHECK(!import(c.path, c.dir.path + "/secret.tar", name));
  }
  CHECK(sys::exists(c.dir.path + "/secret.tar"));
}

TEST_CASE("cache: a file's digest is that of what it holds now") {
  constexpr const char* kOfX = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
  constexpr const char* kOfY = "a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa";
  const Cache cache;
  cache.put("t.tar", "x");
  const auto found = find(cache.path, "t");
  REQUIRE(found);
  for (int again = 0; again < 2; ++again) CHECK(digest(*found).value_or("") == kOfX);
  REQUIRE(sys::write_file(found->path, "y"));  // in place: the attribute stays
  CHECK(digest(*found).value_or("") == kOfY);
  REQUIRE(::unlink(found->path.c_str()) == 0);
  CHECK_FALSE(digest(*found));
}

TEST_CASE("import: any compression becomes zst, byte by byte the same tarball") {
  if (!root_only()) return;
  for (const auto filter : {archive_write_add_filter_none, archive_write_add_filter_gzip, archive_write_add_filter_xz,
                            archive_write_add_filter_zstd}) {
    const Cache c;
    const auto made = c.import(sample(filter));
    REQUIRE(made);
    CHECK(made->name == "t");
    CHECK(made->path == c.path + "/t.tar.zst");
    CHECK(c.files() == Names{"t.tar.zst"});
    const std::string stored = sys::read_file(made->path).value_or("");
    CHECK(stored.substr(0, 4) == "\x28\xb5\x2f\xfd");
    REQUIRE(sys::make_dirs(c.dir.path + "/out"));
    REQUIRE(unpack(made->path, c.dir.path + "/out"));
    CHECK(sys::read_file(c.dir.path + "/out/f").value_or("") == "hello");
  }
}

TEST_CASE("import: replaces what had the name, in whatever form") {
  if (!root_only()) return;
  const Cache c;
  c.put("t.tar.gz");
  c.put("t.tar.zst", "old");
  const auto made = c.import(sample(archive_write_add_filter_gzip));
  REQUIRE(made);
  CHECK(c.files() == Names{"t.tar.zst"});
  CHECK(made->bytes > 3);
}

TEST_CASE("import: a bad archive is refused and leaves what was there") {
  if (!root_only()) return;
  const Cache c;
  c.put("t.tar.gz", "old");
  TestTar evil;
  evil.symlink("l", "/etc").file("l/passwd", "x");
  const std::string whole = sample(archive_write_add_filter_zstd);
  TestTar no_init, no_shell;
  no_init.file("bin/sh", "x", 0755).dir("sbin/init").file("etc/init", "x");
  no_shell.file("bin/init", "x", 0755);
  for (const std::string& bytes : {evil.bytes(), no_init.bytes(), no_shell.bytes(), whole.substr(0, whole.size() / 2),
                                   std::string("no archive"), std::string()}) {
    const auto made = c.import(bytes);
    REQUIRE(!made);
    INFO(made.error().text);
    CHECK(made.error().code == Code::invalid);
    CHECK(made.error().text.find(c.file) != std::string::npos);
    CHECK(c.files() == Names{"t.tar.gz"});
  }
  CHECK(sys::read_file(c.path + "/t.tar.gz").value_or("") == "old");
  CHECK(!import(c.path, "/dev/zero", "t"));
  CHECK(!import(c.path, c.dir.path, "t"));
}

TEST_CASE("import: one at a time, and the rest of a killed one does no harm") {
  if (!root_only()) return;
  const Cache c;
  c.put(".t.tar.zst.new", std::string(100'000, 'x'));
  {
    const auto lock = open_locked(c.path + "/.t.tar.zst.new");
    REQUIRE(lock);
    CHECK(c.import(sample(archive_write_add_filter_gzip)).error().code == Code::locked);
  }
  const auto made = c.import(sample(archive_write_add_filter_gzip));
  REQUIRE(made);
  CHECK(made->bytes < 10'000);
}
