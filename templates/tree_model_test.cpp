#include "templates/tree_model.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::templates;

namespace {

using Kind = Entry::Kind;

struct Tree : TreeModel {
  Tree() : TreeModel({}) {}
  void put(Kind kind, const std::string& path, const std::string& link = "", mode_t mode = 0755) {
    Entry e;
    e.kind = kind;
    e.path = path;
    e.link = link;
    e.attributes.mode = mode;
    REQUIRE(admit(e));
  }
};

}  // namespace

TEST_CASE("tree model: a program is found through the links of the tree") {
  Tree t;
  t.put(Kind::symlink, "sbin", "usr/sbin");
  t.put(Kind::symlink, "usr/sbin/init", "../lib/systemd/systemd");
  CHECK_FALSE(t.is_program("/sbin/init"));  // yet
  t.put(Kind::file, "usr/lib/systemd/systemd");
  CHECK(t.is_program("/sbin/init"));
  CHECK(t.is_program("usr/lib/./systemd//systemd"));
  CHECK(t.is_program("../../sbin/../lib/../sbin/init"));
  t.put(Kind::symlink, "bin/init", "/sbin/init");
  CHECK(t.is_program("/bin/init"));
  t.put(Kind::hardlink, "etc/init", "usr/lib/systemd/systemd", 0);
  CHECK(t.is_program("/etc/init"));
  t.put(Kind::hardlink, "etc/link", "bin/init", 0);
  CHECK(t.is_program("/etc/link"));
}

TEST_CASE("tree model: what is no program") {
  Tree t;
  t.put(Kind::directory, "d");
  t.put(Kind::fifo, "fifo");
  t.put(Kind::file, "text", "", 0644);
  t.put(Kind::symlink, "loop", "loop");
  t.put(Kind::symlink, "dangling", "nowhere");
  t.put(Kind::symlink, "slash", "text/");
  for (const char* path :
       {"", "/", "d", "fifo", "text", "text/x", "loop", "loop/x", "dangling", "slash", "absent", "d/.."})
    CHECK_FALSE(t.is_program(path));
  t.put(Kind::file, "dangling");  // in place of the link
  CHECK(t.is_program("dangling"));
}
