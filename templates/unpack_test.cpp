#include <sys/stat.h>
#include <sys/xattr.h>

#include <cstdio>
#include <optional>

#include "sys/files.h"
#include "templates/templates.h"
#include "templates/test_tar.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::templates;

namespace {

// DIR/box is where archives are unpacked; DIR/outside is what they must not touch.
struct Box {
  tests::TempDir dir;
  std::string box = dir.path + "/box", outside = dir.path + "/outside";
  Box() {
    REQUIRE(sys::make_dirs(box));
    REQUIRE(sys::make_dirs(outside));
  }
  Result<void> unpack(const std::string& bytes, const UnpackLimits& limits = {}) const {
    REQUIRE(sys::replace_file(dir.path + "/a.tar", bytes));
    return templates::unpack(dir.path + "/a.tar", box, limits);
  }
  Result<void> unpack(TestTar& tar, const UnpackLimits& limits = {}) const { return unpack(tar.bytes(), limits); }
  bool outside_untouched() const {
    return sys::list_dir(outside).value_or({"?"}).empty() &&
           sys::list_dir(dir.path).value_or({}) == std::vector<std::string>{"a.tar", "box", "outside"};
  }
  std::string at(const std::string& path) const { return box + "/" + path; }
  std::string read(const std::string& path) const { return sys::read_file(at(path)).value_or("(absent)"); }
  struct ::stat stat(const std::string& path) const {
    struct ::stat st {};
    REQUIRE(::lstat(at(path).c_str(), &st) == 0);
    return st;
  }
  std::optional<std::string> xattr(const std::string& path, const char* name) const {
    char value[256];
    const ssize_t n = ::lgetxattr(at(path).c_str(), name, value, sizeof value);
    if (n < 0) return std::nullopt;
    return std::string(value, static_cast<size_t>(n));
  }
};

bool root_only(const char* what) {
  if (::geteuid() == 0) return true;
  std::printf("skipped: %s needs root\n", what);
  return false;
}

mode_t mode_of(const struct ::stat& st) { return st.st_mode & 07777; }

}  // namespace

TEST_CASE("unpack: files, directories and links come out as they went in") {
  const Box b;
  TestTar tar;
  tar.dir("./", 0711).dir("./d", 01777).file("./d/f", "text", 04755).file("./d/empty", "", 0400);
  tar.symlink("./abs", "/nowhere/at/all").symlink("./d/up", "../../..").add("./fifo", AE_IFIFO | 0640);
  tar.hardlink("./g", "./d/f");
  REQUIRE(b.unpack(tar));
  CHECK(mode_of(b.stat("")) == 0711);
  CHECK(mode_of(b.stat("d")) == 01777);
  CHECK(mode_of(b.stat("d/f")) == 04755);
  CHECK(b.read("d/f") == "text");
  CHECK(b.read("d/empty").empty());
  CHECK(sys::read_link(b.at("abs")).value_or("") == "/nowhere/at/all");
  CHECK(sys::read_link(b.at("d/up")).value_or("") == "../../..");
  CHECK((b.stat("fifo").st_mode & (S_IFMT | 07777)) == (S_IFIFO | 0640));
  CHECK(b.stat("g").st_ino == b.stat("d/f").st_ino);
  CHECK(b.stat("g").st_nlink == 2);
}

TEST_CASE("unpack: times, also of directories and links") {
  const Box b;
  TestTar tar;
  tar.dir("d").dir("d/e").file("d/e/f", "x").symlink("d/e/l", "f");
  REQUIRE(b.unpack(tar));
  for (const char* path : {"d", "d/e", "d/e/f", "d/e/l"}) {
    INFO(path);
    CHECK(b.stat(path).st_mtim.tv_sec == TestTar::kTime);
    CHECK(b.stat(path).st_mtim.tv_nsec == 123456789);
  }
}

TEST_CASE("unpack: directories that no entry names are made, root's and open") {
  const Box b;
  TestTar tar;
  tar.file("a/b/c/f", "x");
  REQUIRE(b.unpack(tar));
  CHECK(mode_of(b.stat("a/b/c")) == 0755);
  CHECK(mode_of(b.stat("a")) == 0755);
  CHECK(mode_of(b.stat("")) == 0755);
  CHECK(b.read("a/b/c/f") == "x");
}

TEST_CASE("unpack: a directory that nobody may write to, before what lies in it") {
  const Box b;
  TestTar tar;
  tar.dir("d", 0555).file("d/f", "x", 0);
  REQUIRE(b.unpack(tar));
  CHECK(mode_of(b.stat("d")) == 0555);
  CHECK(mode_of(b.stat("d/f")) == 0);
  REQUIRE(::chmod(b.at("d").c_str(), 0755) == 0);
}

TEST_CASE("unpack: owners are numbers") {
  if (!root_only("changing owners")) return;
  const Box b;
  TestTar tar;
  const auto owner = [](archive_entry* e) {
    archive_entry_set_uid(e, 65535);
    archive_entry_set_gid(e, 42);
    archive_entry_set_uname(e, "root");
    archive_entry_set_gname(e, "root");
  };
  tar.file("f", "x", 06755, owner).dir("d", 02750, owner);
  tar.add("l", AE_IFLNK | 0777, {}, [&](archive_entry* e) {
    owner(e);
    archive_entry_set_symlink(e, "f");
  });
  REQUIRE(b.unpack(tar));
  for (const char* path : {"f", "d", "l"}) {
    INFO(path);
    CHECK(b.stat(path).st_uid == 65535);
    CHECK(b.stat(path).st_gid == 42);
  }
  CHECK(mode_of(b.stat("f")) == 06755);
  CHECK(mode_of(b.stat("d")) == 02750);
}

TEST_CASE("unpack: file capabilities and user attributes are kept, labels of the host are not") {
  if (!root_only("file capabilities")) return;
  const Box b;
  TestTar tar;
  const std::string cap("\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);  // revision 2, cap_net_raw=ep
  tar.file("ping", "x", 0755, [&](archive_entry* e) {
    archive_entry_xattr_add_entry(e, "security.capability", cap.data(), cap.size());
    archive_entry_xattr_add_entry(e, "security.selinux", "system_u:object_r:bin_t:s0", 26);
    archive_entry_xattr_add_entry(e, "trusted.overlay.redirect", "/etc", 4);
    archive_entry_xattr_add_entry(e, "user.note", "n", 1);
  });
  REQUIRE(b.unpack(tar));
  CHECK(b.xattr("ping", "security.capability") == cap);
  CHECK(b.xattr("ping", "user.note") == "n");
  CHECK(!b.xattr("ping", "trusted.overlay.redirect"));
  CHECK(b.xattr("ping", "security.selinux").value_or("") != "system_u:object_r:bin_t:s0");
}

TEST_CASE("unpack: ACLs, and a default ACL is not inherited by what the archive brings") {
  const Box b;
  TestTar tar;
  const auto acl = [](archive_entry* e, int type) {
    archive_entry_acl_add_entry(e, type, 7, ARCHIVE_ENTRY_ACL_USER_OBJ, -1, nullptr);
    archive_entry_acl_add_entry(e, type, 6, ARCHIVE_ENTRY_ACL_USER, 1234, nullptr);
    archive_entry_acl_add_entry(e, type, 4, ARCHIVE_ENTRY_ACL_GROUP_OBJ, -1, nullptr);
    archive_entry_acl_add_entry(e, type, 6, ARCHIVE_ENTRY_ACL_MASK, -1, nullptr);
    archive_entry_acl_add_entry(e, type, 0, ARCHIVE_ENTRY_ACL_OTHER, -1, nullptr);
  };
  tar.dir("d", 0750, [&](archive_entry* e) { acl(e, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT); });
  tar.file("d/plain", "x", 0644).file("d/acl", "x", 0740, [&](archive_entry* e) {
    acl(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS);
  });
  const auto r = b.unpack(tar);
  if (!r && r.error().sys_errno == ENOTSUP) {
    std::printf("skipped: the file system of /tmp has no ACLs\n");
    return;
  }
  REQUIRE(r);
  const std::string want(
      "\2\0\0\0\1\0\7\0\xff\xff\xff\xff\2\0\6\0\xd2\4\0\0\4\0\4\0\xff\xff\xff\xff\x10\0\6\0\xff\xff\xff\xff\x20\0\0\0"
      "\xff\xff"
      "\xff\xff",
      44);
  CHECK(b.xattr("d", "system.posix_acl_default") == want);
  CHECK(b.xattr("d/acl", "system.posix_acl_access") == want);
  CHECK(!b.xattr("d/plain", "system.posix_acl_access"));
  CHECK(mode_of(b.stat("d/plain")) == 0644);
  CHECK(mode_of(b.stat("d/acl")) == 0760);  // the mask shows as the group's bits
}

TEST_CASE("unpack: holes stay holes") {
  const Box b;
  TestTar tar;
  std::string data(8u << 20, '\0');
  data.replace(data.size() / 2, 4096, 4096, 'x');
  tar.file("sparse", data, 0644,
           [&](archive_entry* e) { archive_entry_sparse_add_entry(e, static_cast<int64_t>(data.size() / 2), 4096); });
  tar.file("behind", "b");
  REQUIRE(b.unpack(tar));
  CHECK(b.stat("sparse").st_size == static_cast<off_t>(data.size()));
  CHECK(b.stat("sparse").st_blocks <= 16);
  CHECK(b.read("sparse") == data);
  CHECK(b.read("behind") == "b");
}

TEST_CASE("unpack: names are UTF-8 or any other bytes") {
  const Box b;
  TestTar tar;
  const std::string utf8 = "F\xc5\x91tan\xc3\xbas\xc3\xadtv\xc3\xa1ny.crt", latin1 = "caf\xe9";
  const std::string long_name(200, 'n');
  tar.file(utf8, "u").file(latin1, "l").file(long_name + "/" + utf8, "x").symlink("s", utf8);
  REQUIRE(b.unpack(tar));
  CHECK(b.read(utf8) == "u");
  CHECK(b.read(latin1) == "l");
  CHECK(b.read(long_name + "/" + utf8) == "x");
  CHECK(sys::read_link(b.at("s")).value_or("") == utf8);
}

TEST_CASE("unpack: a later entry of the same name replaces the earlier one, and only it") {
  const Box b;
  TestTar tar;
  tar.file("f", "old")
      .hardlink("kept", "f")
      .file("f", "new")
      .file("l", "x")
      .symlink("l", "f")
      .dir("d", 0700)
      .dir("d", 0711);
  tar.hardlink("f", "f");
  REQUIRE(b.unpack(tar));
  CHECK(b.read("f") == "new");
  CHECK(b.read("kept") == "old");
  CHECK(sys::read_link(b.at("l")).value_or("") == "f");
  CHECK(mode_of(b.stat("d")) == 0711);
}

TEST_CASE("unpack: the harmless devices of a /dev are skipped, and so are sockets") {
  const Box b;
  TestTar tar;
  tar.dir("dev");
  for (const char* name : {"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"})
    tar.device("./dev/" + std::string(name), AE_IFCHR, 1, 3);
  tar.symlink("dev/fd", "/proc/self/fd");
  REQUIRE(b.unpack(tar));
  CHECK(sys::list_dir(b.at("dev")).value_or({}) == std::vector<std::string>{"fd"});
}

namespace {
struct Refusal {
  const char* name;
  std::function<void(TestTar&)> make;
  const char* text;  // in the error
};
const TestTar::Change kNothing;
void set_uid(archive_entry* e, int64_t id) { archive_entry_set_uid(e, id); }
void set_gid(archive_entry* e, int64_t id) { archive_entry_set_gid(e, id); }

const Refusal kRefusals[] = {
    {"absolute name", [](TestTar& t) { t.file("/f", "x"); }, "absolute name '/f'"},
    {"name above", [](TestTar& t) { t.file("../outside/f", "x"); }, "'..'"},
    {"name above, hidden", [](TestTar& t) { t.dir("a").file("a/./../../outside/f", "x"); }, "'..'"},
    {"harmless ..", [](TestTar& t) { t.dir("a").file("a/../f", "x"); }, "'..'"},
    {"absolute directory", [](TestTar& t) { t.dir("/tmp/d"); }, "absolute name"},
    {"below a link out", [](TestTar& t) { t.symlink("l", "../outside").file("l/f", "x"); },
     "below 'l', which is a symbolic link"},
    {"below a link in", [](TestTar& t) { t.dir("d").symlink("l", "d").file("l/f", "x"); }, "symbolic link"},
    {"deep below a link", [](TestTar& t) { t.symlink("l", "../outside").file("l/a/b/f", "x"); }, "symbolic link"},
    {"directory through a link", [](TestTar& t) { t.symlink("l", "../outside").dir("l/d"); }, "symbolic link"},
    {"directory in place of a link", [](TestTar& t) { t.symlink("l", "../outside").dir("l"); }, "directory"},
    {"file made link, then used", [](TestTar& t) { t.file("l", "x").symlink("l", "../outside").file("l/f", "x"); },
     "symbolic link"},
    {"below a hard link to a link",
     [](TestTar& t) { t.symlink("l", "../outside").hardlink("m", "l").file("m/f", "x"); }, "symbolic link"},
    {"below a file", [](TestTar& t) { t.file("f", "x").file("f/g", "x"); }, "no directory"},
    {"file in place of a directory", [](TestTar& t) { t.dir("d").file("d", "x"); }, "replaces a directory"},
    {"link in place of a directory", [](TestTar& t) { t.dir("d").symlink("d", "../outside"); }, "replaces a directory"},
    {"hard link out", [](TestTar& t) { t.hardlink("h", "../a.tar"); }, "'..'"},
    {"absolute hard link", [](TestTar& t) { t.hardlink("h", "/etc/passwd"); }, "absolute name"},
    {"hard link to nothing", [](TestTar& t) { t.hardlink("h", "later").file("later", "x"); }, "not unpacked before"},
    {"hard link to a directory", [](TestTar& t) { t.dir("d").hardlink("h", "d"); }, "not unpacked before"},
    {"hard link through a link", [](TestTar& t) { t.dir("d").file("d/f", "x").symlink("l", "d").hardlink("h", "l/f"); },
     "not unpacked before"},
    {"hard link to a skipped device",
     [](TestTar& t) { t.device("dev/null", AE_IFCHR, 1, 3).hardlink("h", "dev/null"); }, "not unpacked before"},
    {"top is a link", [](TestTar& t) { t.symlink("./", "../outside"); }, "top of the archive"},
    {"disk", [](TestTar& t) { t.device("dev/sda", AE_IFBLK, 8, 0); }, "device node"},
    {"disk named null", [](TestTar& t) { t.device("dev/null", AE_IFBLK, 8, 0); }, "device node"},
    {"memory", [](TestTar& t) { t.device("dev/mem", AE_IFCHR, 1, 1); }, "device node"},
    {"null elsewhere", [](TestTar& t) { t.device("etc/null", AE_IFCHR, 1, 3); }, "device node"},
    {"uid 65536", [](TestTar& t) { t.file("f", "x", 0644, [](archive_entry* e) { set_uid(e, 65536); }); },
     "user id 65536"},
    {"gid 4294967295", [](TestTar& t) { t.dir("d", 0755, [](archive_entry* e) { set_gid(e, 4294967295); }); },
     "group id 4294967295"},
    {"uid 2^32",
     [](TestTar& t) { t.symlink("l", "x").file("f", "x", 0644, [](archive_entry* e) { set_uid(e, 1LL << 32); }); },
     "user id"},
    {"ACL of 65536",
     [](TestTar& t) {
       t.file("f", "x", 0644, [](archive_entry* e) {
         archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 6, ARCHIVE_ENTRY_ACL_USER, 65536, nullptr);
         archive_entry_acl_add_entry(e, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, 6, ARCHIVE_ENTRY_ACL_MASK, -1, nullptr);
       });
     },
     "ACL: id 65536"},
    {"malformed capabilities",
     [](TestTar& t) {
       t.file("f", "x", 0644,
              [](archive_entry* e) { archive_entry_xattr_add_entry(e, "security.capability", "abc", 3); });
     },
     "malformed file capabilities"},
    {"malformed ACL",
     [](TestTar& t) {
       t.file("f", "x", 0644,
              [](archive_entry* e) { archive_entry_xattr_add_entry(e, "system.posix_acl_access", "abc", 3); });
     },
     "malformed ACL"},
    {"long component", [](TestTar& t) { t.file(std::string(256, 'x'), "x"); }, "name of 256 bytes"},
    {"long name",
     [](TestTar& t) {
       std::string path = "a";
       for (int i = 0; i < 2050; ++i) path += "/a";
       t.file(path, "x");
     },
     "name of 4101 bytes"},
};
}  // namespace

TEST_CASE("unpack: what is refused, and that it touches nothing outside") {
  for (const Refusal& refusal : kRefusals) {
    INFO(refusal.name);
    const Box b;
    TestTar tar;
    refusal.make(tar);
    const auto r = b.unpack(tar);
    REQUIRE(!r);
    CHECK(r.error().code == Code::invalid);
    INFO(r.error().text);
    CHECK(r.error().text.find(refusal.text) != std::string::npos);
    CHECK(r.error().text.find(b.dir.path + "/a.tar") != std::string::npos);
    CHECK(r.error().text.find('\n') == std::string::npos);
    CHECK(b.outside_untouched());
  }
}

TEST_CASE("unpack: limits") {
  TestTar tar;
  tar.file("a", std::string(1000, 'a')).file("b", std::string(1000, 'b'));
  const std::string bytes = tar.bytes();
  CHECK(Box().unpack(bytes, {2000, 2}));
  const auto size = Box().unpack(bytes, {1999, 2});
  REQUIRE(!size);
  CHECK(size.error().text.find("more than 1999 bytes") != std::string::npos);
  const auto count = Box().unpack(bytes, {2000, 1});
  REQUIRE(!count);
  CHECK(count.error().text.find("more than 1 entries") != std::string::npos);
  CHECK(Box().unpack(bytes, {UINT64_MAX, UINT64_MAX}));
}

TEST_CASE("unpack: the directory must be empty but for what a new file system has") {
  TestTar tar;
  const std::string bytes = tar.file("f", "x").bytes();
  const Box b;
  REQUIRE(sys::make_dirs(b.at("lost+found")));
  CHECK(b.unpack(bytes));
  const auto again = b.unpack(bytes);
  REQUIRE(!again);
  CHECK(again.error().code == Code::exists);
}
