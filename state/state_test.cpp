#include "state/state.h"

#include <unistd.h>

#include "sys/process.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::state;

namespace {

struct Host : tests::TempDir {
  Paths paths;
  Host() {
    paths.conf_dir = path + "/conf";
    paths.names_dir = path + "/names";
    paths.run_dir = path + "/run";
    paths.marks_dir = path + "/marks";
    REQUIRE(sys::make_dirs(paths.conf_dir));
  }
  void conf(config::CtId id, const std::string& text = "") const { REQUIRE(sys::replace_file(paths.conf(id), text)); }
  void link(const std::string& name, const std::string& target) const {
    REQUIRE(sys::make_dirs(paths.names_dir));
    REQUIRE(::symlink(target.c_str(), (paths.names_dir + "/" + name).c_str()) == 0);
  }
  std::string target(const std::string& name) const {
    return sys::read_link(paths.names_dir + "/" + name).value_or("(none)");
  }
  Running self() const { return Running{::getpid(), *sys::start_time(::getpid()), 1700000000, "running"}; }
};

std::string error_of(const Result<config::CtId>& r) {
  REQUIRE(!r);
  CHECK(r.error().code == Code::invalid);
  return r.error().text;
}

}  // namespace

TEST_CASE("running: what was saved is read while init lives") {
  const Host host;
  CHECK(!running(host.paths, 101));
  REQUIRE(save_running(host.paths, 101, host.self()));
  const auto r = running(host.paths, 101);
  REQUIRE(r);
  CHECK(r->init == ::getpid());
  CHECK(r->init_start == host.self().init_start);
  CHECK(r->since == 1700000000);
  CHECK(r->phase == "running");
  CHECK((sys::stat(host.paths.run(101))->st_mode & 07777) == 0700);
  CHECK((sys::stat(host.paths.run_dir)->st_mode & 0700) == 0700);
  CHECK(!running(host.paths, 102));
  REQUIRE(forget_running(host.paths, 101));
  CHECK(!running(host.paths, 101));
  CHECK(sys::list_dir(host.paths.run_dir)->empty());
  CHECK(forget_running(host.paths, 101));
}

TEST_CASE("running: a stale file is not a running container") {
  const Host host;
  Running r = host.self();
  r.init_start++;
  REQUIRE(save_running(host.paths, 101, r));
  CHECK(!running(host.paths, 101));
  r = host.self();
  r.init = 0;
  REQUIRE(save_running(host.paths, 101, r));
  CHECK(!running(host.paths, 101));

  REQUIRE(save_running(host.paths, 101, host.self()));
  const std::string good = *load_note(host.paths, 101, "state");
  std::string other_boot = good;
  const size_t at = other_boot.find("BOOT_ID=\"");
  REQUIRE(at != std::string::npos);
  other_boot[at + 9] = other_boot[at + 9] == 'x' ? 'y' : 'x';
  REQUIRE(save_note(host.paths, 101, "state", other_boot));
  CHECK(!running(host.paths, 101));
  for (const std::string& bad :
       {std::string(), std::string("garbage"), good.substr(0, good.size() / 2), std::string(70000, 'x')}) {
    REQUIRE(save_note(host.paths, 101, "state", bad));
    CHECK(!running(host.paths, 101));
  }
  REQUIRE(save_note(host.paths, 101, "state", good));
  CHECK(running(host.paths, 101));
}

TEST_CASE("notes") {
  const Host host;
  const auto none = load_note(host.paths, 101, "net.json");
  REQUIRE(!none);
  CHECK(none.error().code == Code::not_found);
  REQUIRE(save_note(host.paths, 101, "net.json", "{\n}"));
  CHECK(*load_note(host.paths, 101, "net.json") == "{\n}");
  CHECK(sys::list_dir(host.paths.run(101)).value_or({}) == std::vector<std::string>{"net.json"});
}

TEST_CASE("registry: the containers are the CTID.conf files") {
  const Host host;
  CHECK(all(host.paths)->empty());
  for (const char* name :
       {"10.conf", "9.conf", "2147483644.conf", "0.conf", "2147483645.conf", "007.conf", "x.conf", "101.conf.tmp",
        "101.conf.destroyed", "ve-basic.conf-sample", "101.mount", ".conf", "conf", "-1.conf", "1 .conf"})
    REQUIRE(sys::replace_file(host.paths.conf_dir + "/" + name, ""));
  CHECK(*all(host.paths) == std::vector<config::CtId>{9, 10, 2147483644});
  Paths nowhere = host.paths;
  nowhere.conf_dir += "/absent";
  CHECK(!all(nowhere));
}

TEST_CASE("registry: numbers are CTIDs") {
  const Host host;
  CHECK(*resolve(host.paths, "101") == 101);
  CHECK(*resolve(host.paths, "2147483644") == 2147483644);
  CHECK(error_of(resolve(host.paths, "0")) == "Bad CT ID 0");
  CHECK(error_of(resolve(host.paths, "2147483645")) == "Bad CT ID 2147483645");
  CHECK(error_of(resolve(host.paths, "99999999999999999999")) == "Bad CT ID 99999999999999999999");
  CHECK(error_of(resolve(host.paths, "")) == "Bad CT ID ");
  CHECK(error_of(resolve(host.paths, "../conf/x\n")) == "Bad CT ID ../conf/x\\x0a");
}

TEST_CASE("registry: names lead to the container that bears them") {
  const Host host;
  host.conf(101, "NAME=\"web 1\"\n");
  host.conf(102, "NAME=\"mail\"\n");
  host.link("web 1", host.paths.conf(101));
  host.link("mail", "../conf/102.conf");
  host.link("old", host.paths.conf(101));
  host.link("gone", host.paths.conf(103));
  host.link("odd", "/etc/passwd");
  host.link("self", "self");
  REQUIRE(sys::replace_file(host.paths.names_dir + "/file", "101"));
  CHECK(*resolve(host.paths, "web 1") == 101);
  CHECK(*resolve(host.paths, "mail") == 102);
  for (const std::string name : {"old", "gone", "odd", "self", "file", "absent", "-5"})
    CHECK(error_of(resolve(host.paths, name)) == "Unable to find container by name " + name);
}

TEST_CASE("registry: giving and taking names") {
  const Host host;
  host.conf(101);
  host.conf(102);
  REQUIRE(assign_name(host.paths, 101, "web", ""));
  CHECK(host.target("web") == host.paths.conf(101));
  host.conf(101, "NAME=web\n");
  CHECK(*resolve(host.paths, "web") == 101);
  REQUIRE(assign_name(host.paths, 101, "web", "web"));

  const auto conflict = assign_name(host.paths, 102, "web", "");
  REQUIRE(!conflict);
  CHECK(conflict.error().code == Code::name_conflict);
  CHECK(conflict.error().text == "Conflict: name web already used by container 101");

  REQUIRE(assign_name(host.paths, 101, "www", "web"));
  CHECK(host.target("web") == "(none)");
  CHECK(host.target("www") == host.paths.conf(101));
  REQUIRE(assign_name(host.paths, 101, "", "www"));
  CHECK(sys::list_dir(host.paths.names_dir)->empty());
}

TEST_CASE("registry: a link whose container is gone or renamed is no conflict") {
  const Host host;
  host.conf(101, "NAME=other\n");
  host.conf(102);
  host.link("web", host.paths.conf(101));
  REQUIRE(assign_name(host.paths, 102, "web", ""));
  CHECK(host.target("web") == host.paths.conf(102));
  host.link("mail", host.paths.conf(999));
  REQUIRE(assign_name(host.paths, 102, "mail", "web"));
  CHECK(host.target("mail") == host.paths.conf(102));
}

TEST_CASE("registry: hostile names touch nothing") {
  const Host host;
  host.conf(101);
  host.conf(102, "NAME=web\n");
  host.link("web", host.paths.conf(102));
  REQUIRE(sys::replace_file(host.paths.names_dir + "/file", "x"));
  for (const char* name : {"../conf/101.conf", "a/b", ".", "..", "101", ".hidden", "a\nb", " a"}) {
    CAPTURE(name);
    CHECK(!assign_name(host.paths, 101, name, ""));
    CHECK(assign_name(host.paths, 101, "", name));
    CHECK(!valid_name(name));
  }
  CHECK(!assign_name(host.paths, 101, "file", ""));
  REQUIRE(assign_name(host.paths, 101, "", "web"));
  REQUIRE(assign_name(host.paths, 101, "", "file"));
  CHECK(sys::list_dir(host.paths.names_dir)->size() == 2);
  CHECK(sys::exists(host.paths.conf(101)));
}

TEST_CASE("ids: every container has its own range") {
  CHECK(first_id(1) == 65536u * 9);
  CHECK(first_id(101) == 65536u * 109);
  CHECK(first_id(32743) == 65536u * 32751);
  CHECK(first_id(32744) == 65536u * 8);
  CHECK(uint64_t{first_id(32743)} + 65535 < (uint64_t{1} << 31));
  const Host host;
  host.conf(101);
  host.conf(102);
  CHECK(sharing_ids(host.paths, 101).empty());
  CHECK(sharing_ids(host.paths, 101 + 32744) == std::vector<config::CtId>{101});
  CHECK(sharing_ids(host.paths, 103).empty());
}

TEST_CASE("marks: kept until they are taken away") {
  const Host host;
  CHECK(marked(host.paths).empty());
  CHECK(unmark(host.paths, 101));
  for (const config::CtId id : {1000u, 101u, 101u}) REQUIRE(mark(host.paths, id));
  for (const char* other : {"0", "x", "101.tmp", "99999999999"})
    REQUIRE(sys::replace_file(host.paths.marks_dir + "/" + other, ""));
  CHECK(marked(host.paths) == std::vector<config::CtId>{101, 1000});
  REQUIRE(unmark(host.paths, 101));
  CHECK(marked(host.paths) == std::vector<config::CtId>{1000});
}
