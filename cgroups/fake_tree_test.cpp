// A host whose hierarchies are plain directories and files: what is written where, without a kernel that has them.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "cgroups/cgroups.h"
#include "cgroups/freeze.h"
#include "cgroups/tree.h"
#include "cgroups/v1/setup.h"
#include "cgroups/v2/delegate.h"
#include "sys/files.h"
#include "tests/catch.h"

using namespace vz;
using cgroups::Group;
using cgroups::Host;
using cgroups::Limits;

namespace {

class Fake {
 public:
  Fake() {
    char name[] = "/tmp/vz-cgroups-XXXXXX";
    root = ::mkdtemp(name);
  }
  ~Fake() { (void)sys::remove_tree(root); }
  Fake(const Fake&) = delete;
  Fake& operator=(const Fake&) = delete;

  void file(const std::string& path, std::string_view text = "") const {
    REQUIRE(sys::make_dirs(sys::parent_dir(root + "/" + path)));
    REQUIRE(sys::replace_file(root + "/" + path, text));
  }
  void files(const std::string& dir, const std::vector<std::string>& names) const {
    for (const std::string& name : names) file(dir + "/" + name);
  }
  std::string text(const std::string& path) const { return sys::read_file(root + "/" + path).value_or("absent"); }
  Host v2() const { return {root, {{"memory", ""}, {"pids", ""}, {"cpu", ""}}}; }
  Host v1() const {
    return {root + "/u",
            {{"memory", root + "/m"}, {"pids", root + "/p"}, {"cpu", root + "/c"}, {"cpuacct", root + "/c"}}};
  }

  std::string root;
};

}  // namespace

TEST_CASE("apply v2: limits go to the CT's own directory, not to the guest's") {
  const Fake f;
  f.files("vz/101", {"memory.max", "memory.swap.max", "pids.max", "cpu.weight", "cpu.max", "memory.high"});
  f.file("vz/101/memory.current", "4096\n");
  f.files("vz/101/ct", {"memory.max", "pids.max"});
  REQUIRE(Group(f.v2(), "101").apply({.memory = 8192, .swap = 0, .pids = 9, .cpu_units = 500, .cpu_percent = 10}));
  CHECK(f.text("vz/101/memory.max") == "8192");
  CHECK(f.text("vz/101/memory.swap.max") == "0");
  CHECK(f.text("vz/101/pids.max") == "9");
  CHECK(f.text("vz/101/cpu.weight") == "50");
  CHECK(f.text("vz/101/cpu.max") == "10000 100000");
  CHECK(f.text("vz/101/ct/memory.max").empty());
}

TEST_CASE("apply v2: memory that cannot be reclaimed is refused, and the old limit stays") {
  const Fake f;
  f.files("vz/101", {"memory.max", "memory.high"});
  f.file("vz/101/memory.current", "9000\n");
  const auto r = Group(f.v2(), "101").apply({.memory = 8192});
  REQUIRE(!r);
  CHECK(r.error().code == Code::cgroup_failed);
  CHECK(r.error().text.find("vz/101/memory.max': 9000 bytes stay in use") != std::string::npos);
  CHECK(f.text("vz/101/memory.max").empty());
  CHECK(f.text("vz/101/memory.high").substr(0, 3) == "max");  // a plain file keeps the longer text's tail
}

TEST_CASE("apply: a limit that the host cannot have is an error, its absence is not") {
  const Fake f;
  f.files("vz/101", {"memory.max"});
  CHECK(Group(f.v2(), "101").apply({}));
  CHECK(f.text("vz/101/memory.max") == "max");
  const auto pids = Group(f.v2(), "101").apply({.pids = 5});
  REQUIRE(!pids);
  CHECK(pids.error().code == Code::cgroup_failed);
  CHECK(pids.error().text.find("/vz/101/pids.max") != std::string::npos);
  const auto cpu = Group(f.v2(), "101").apply({.cpu_percent = 50});
  REQUIRE(!cpu);
  CHECK(cpu.error().code == Code::cpu_failed);
  const auto cpus = Group(f.v2(), "101").apply({.cpus = "0"});
  REQUIRE(!cpus);
  CHECK(cpus.error().code == Code::cpu_failed);
  const auto io =
      Group(f.v2(), "101").apply({.io = vz::cgroups::IoLimit{.device = "7:0", .bytes = 1, .operations = 0}});
  REQUIRE(!io);
  CHECK(io.error().code == Code::io_failed);
  const auto none = Group(Host{f.root, {}}, "101").apply({.memory = 1});
  REQUIRE(!none);
  CHECK(none.error().text.find("no 'memory' controller") != std::string::npos);
  CHECK(Group(f.v2(), "101").apply({.memory = 4096, .swap = 5}));  // no swap accounting
}

TEST_CASE("apply v1: each controller in its own hierarchy") {
  const Fake f;
  f.files("m/vz/web", {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"});
  f.files("p/vz/web", {"pids.max"});
  f.files("c/vz/web", {"cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"});
  REQUIRE(Group(f.v1(), "web").apply({.memory = 4096, .swap = 4096, .pids = 3}));
  CHECK(f.text("m/vz/web/memory.limit_in_bytes") == "4096");
  CHECK(f.text("m/vz/web/memory.memsw.limit_in_bytes") == "8192");
  CHECK(f.text("p/vz/web/pids.max") == "3");
  CHECK(f.text("c/vz/web/cpu.shares") == "1024");
  CHECK(f.text("c/vz/web/cpu.cfs_quota_us") == "-1");
}

TEST_CASE("names that would mean other groups are refused") {
  const Fake f;
  f.files("vz/101", {"cgroup.kill", "cgroup.freeze"});
  for (const char* name : {"", ".", "..", "101/ct", "a\nb"}) {
    const Group group(f.v2(), name);
    CHECK(group.create(100000).error().code == Code::invalid);
    CHECK(group.remove().error().code == Code::invalid);
    CHECK(group.kill(std::chrono::milliseconds(0)).error().code == Code::invalid);
    CHECK(group.apply({}).error().code == Code::invalid);
    CHECK(!group.exists());
  }
  CHECK(sys::exists(f.root + "/vz/101/cgroup.kill"));
}

TEST_CASE("enable_controllers: what is missing, in one write; nothing when all are there") {
  const Fake f;
  f.file("cgroup.subtree_control", "cpu memory\n");
  REQUIRE(cgroups::v2::enable_controllers(f.root, {"cpu", "memory"}));
  CHECK(f.text("cgroup.subtree_control") == "cpu memory\n");
  f.file("cgroup.subtree_control", "cpu\n");
  REQUIRE(cgroups::v2::enable_controllers(f.root, {"cpu", "memory", "pids"}));
  CHECK(f.text("cgroup.subtree_control") == "+memory +pids");
  CHECK(cgroups::v2::enable_controllers(f.root + "/none", {}));
  CHECK(!cgroups::v2::enable_controllers(f.root + "/none", {"cpu"}));
}

TEST_CASE("v1 cpuset: an empty one inherits, an empty parent first") {
  const Fake f;
  for (const char* dir : {"", "vz/", "vz/101/"}) f.files(std::string(dir) + ".", {"cpuset.cpus", "cpuset.mems"});
  f.file("cpuset.cpus", "0-3\n");
  f.file("cpuset.mems", "0\n");
  REQUIRE(cgroups::v1::set_up_cpuset(f.root, f.root + "/vz", f.root + "/vz/101"));
  CHECK(f.text("vz/cpuset.cpus") == "0-3");
  CHECK(f.text("vz/101/cpuset.mems") == "0");
  f.file("vz/cpuset.cpus", "2");
  REQUIRE(cgroups::v1::set_up_cpuset(f.root, f.root + "/vz", f.root + "/vz/101"));
  CHECK(f.text("vz/cpuset.cpus") == "2");
}

TEST_CASE("processes: the whole subtree, sorted, each once, none of another PID namespace") {
  const Fake f;
  f.file("vz/101/cgroup.procs");
  f.file("vz/101/ct/cgroup.procs", "30\n0\n");
  f.file("vz/101/ct/a/cgroup.procs", "7\n30\n");
  f.file("vz/101/ct/a/b c/cgroup.procs", "1000\n9\n");
  f.file("vz/102/ct/cgroup.procs", "5\n");
  CHECK(*Group(f.v2(), "101").processes() == std::vector<pid_t>{7, 9, 30, 1000});
  CHECK(!Group(f.v2(), "103").processes());
}

TEST_CASE("usage v2") {
  const Fake f;
  f.file("vz/101/memory.current", "1000\n");
  f.file("vz/101/memory.peak", "3000\n");
  f.file("vz/101/memory.events", "low 0\nhigh 0\nmax 7\noom 1\n");
  f.file("vz/101/memory.swap.current", "55\n");
  f.file("vz/101/memory.stat", "anon 1\nkernel 400\nkernel_stack 16\n");
  f.file("vz/101/pids.current", "4\n");
  f.file("vz/101/pids.events", "max 0\n");
  f.file("vz/101/ct/pids.events", "max 2\n");
  f.file("vz/101/ct/a/pids.events", "max 3\n");
  f.file("vz/101/cpu.stat", "usage_usec 12\nuser_usec 5\n");
  const Group group(f.v2(), "101");
  f.file("vz/101/io.stat", "254:0 rbytes=7 wbytes=8\n");
  const auto activity = group.activity();
  REQUIRE(activity);
  CHECK(activity->memory == 1000);
  CHECK(activity->swap == 55);
  CHECK(activity->pids == 4);
  CHECK(activity->cpu_ns == 12000);
  CHECK(activity->io == cgroups::IoBytes{7, 8});
  auto usage = group.usage();
  REQUIRE(usage);
  CHECK(usage->memory == 1000);
  CHECK(usage->memory_max == 3000);
  CHECK(usage->memory_failures == 7);
  CHECK(usage->swap == 55);
  CHECK(usage->kernel == 400);
  CHECK(usage->pids == 4);
  CHECK(usage->pids_failures == 5);
  CHECK(usage->cpu_ns == 12000);
  f.file("vz/101/pids.events.local", "max 0\n");
  f.file("vz/101/pids.events", "max 1\n");
  CHECK(group.usage()->pids_failures == 1);
  CHECK(Group(f.v2(), "102").usage().error().code == Code::not_found);
}

TEST_CASE("usage v1: swap is what memory+swap has more; without swap accounting none") {
  const Fake f;
  f.file("u/vz/101/cgroup.procs");
  f.file("m/vz/101/memory.usage_in_bytes", "1000\n");
  f.file("m/vz/101/memory.failcnt", "2\n");
  f.file("m/vz/101/memory.kmem.usage_in_bytes", "300\n");
  f.file("c/vz/101/cpuacct.usage", "123456\n");
  const Group group(f.v1(), "101");
  CHECK(group.usage()->swap == 0);
  f.file("m/vz/101/memory.memsw.usage_in_bytes", "1500\n");
  f.file("m/vz/101/memory.memsw.failcnt", "3\n");
  const auto usage = group.usage();
  CHECK(usage->memory == 1000);
  CHECK(usage->memory_failures == 5);
  CHECK(usage->swap == 500);
  CHECK(usage->kernel == 300);
  CHECK(usage->cpu_ns == 123456);
}

TEST_CASE("freeze: cgroup.freeze on the CT's directory, thawed again when it takes too long") {
  const Fake f;
  f.file("vz/101/cgroup.freeze", "0");
  f.file("vz/101/cgroup.events", "populated 1\nfrozen 1\n");
  const Group group(f.v2(), "101");
  REQUIRE(group.freeze(std::chrono::milliseconds(0)));
  CHECK(f.text("vz/101/cgroup.freeze") == "1");
  CHECK(*group.frozen());
  f.file("vz/101/cgroup.events", "populated 1\nfrozen 0\n");
  CHECK(group.freeze(std::chrono::milliseconds(5)).error().code == Code::timeout);
  CHECK(f.text("vz/101/cgroup.freeze") == "0");
}

TEST_CASE("freeze: the v1 freezer where the kernel has no cgroup.freeze; without either by name") {
  const Fake f;
  f.file("vz/101/cgroup.events", "populated 1\n");
  CHECK(Group(f.v2(), "101").freeze(std::chrono::milliseconds(0)).error().code == Code::unsupported);
  Host host = f.v2();
  host.controllers.push_back({"freezer", f.root + "/f"});
  f.file("f/vz/101/freezer.state", "THAWED");
  const Group group(host, "101");
  CHECK(!*group.frozen());
  REQUIRE(group.freeze(std::chrono::milliseconds(100)));
  CHECK(*group.frozen());
  REQUIRE(group.thaw());
  CHECK(f.text("f/vz/101/freezer.state") == "THAWED");
}

TEST_CASE("kill: an absent group is no error, one that stays populated is, and says who") {
  const Fake f;
  const Group group(f.v2(), "101");
  CHECK(group.kill(std::chrono::milliseconds(0)));
  f.files("vz/101", {"cgroup.kill"});
  f.file("vz/101/cgroup.freeze", "1");
  f.file("vz/101/cgroup.events", "populated 1\nfrozen 0\n");
  f.file("vz/101/ct/cgroup.procs", "42\n43\n");
  const auto r = group.kill(std::chrono::milliseconds(5));
  REQUIRE(!r);
  CHECK(r.error().code == Code::timeout);
  CHECK(r.error().text.find("42, 43") != std::string::npos);
  CHECK(f.text("vz/101/cgroup.kill") == "1");
  CHECK(f.text("vz/101/cgroup.freeze") == "0");
}

TEST_CASE("guest tree: paths and owners there and back") {
  const Fake f;
  f.files("vz/101/ct/init.scope", {"cgroup.procs"});
  f.files("vz/101/ct/system.slice/ssh @ 1", {"cgroup.procs"});
  const uid_t owner = ::getuid();
  const Group group(f.v2(), "101");
  const auto tree = group.guest_tree(owner);
  REQUIRE(tree);
  std::vector<std::string> paths;
  for (const auto& d : *tree) paths.push_back(d.path);
  CHECK(std::is_permutation(paths.begin(), paths.end(),
                            std::vector<std::string>{"init.scope", "system.slice", "system.slice/ssh @ 1"}.begin()));
  CHECK(std::find(paths.begin(), paths.end(), "system.slice") <
        std::find(paths.begin(), paths.end(), "system.slice/ssh @ 1"));
  CHECK(group.guest_tree(owner + 1)->front().uid == 0);  // outside of the range
  f.file("vz/102/ct/cgroup.procs");
  const Group other(f.v2(), "102");
  REQUIRE(other.make_guest_tree(*tree, owner));
  REQUIRE(other.make_guest_tree(*tree, owner));  // what is there already is fine
  CHECK(sys::exists(f.root + "/vz/102/ct/system.slice/ssh @ 1"));
}

TEST_CASE("guest tree: a hostile one makes nothing") {
  const Fake f;
  f.file("vz/101/ct/cgroup.procs");
  const Group group(f.v2(), "101");
  const std::string deep = [] {
    std::string s = "d";
    for (int i = 0; i < 64; ++i) s += "/d";
    return s;
  }();
  for (const std::string& path : std::vector<std::string>{"", "..", "./a", "/a", "a/../../..", "a//b", "a/", "a\nb",
                                                          std::string("a\0b", 3), deep, std::string(256, 'x')})
    CHECK(group.make_guest_tree({{"first", 0, 0}, {path, 0, 0}}, 0).error().code == Code::invalid);
  CHECK(group.make_guest_tree({{"first", 0, 0}, {".", 0, 0, {{"memory.max", "max"}}}}, 0).error().code ==
        Code::invalid);
  CHECK(group.make_guest_tree({{"first", 0, 0}, {"a", 0, 0, {{"cgroup.procs", "1"}}}}, 0).error().code ==
        Code::invalid);
  CHECK(group.make_guest_tree({{"a", 65536, 0}}, 0).error().code == Code::invalid);
  CHECK(group.make_guest_tree({{"a", 0, 4294967295u}}, 0).error().code == Code::invalid);
  CHECK(group.make_guest_tree(std::vector<Group::Directory>(20001, {"a", 0, 0}), 0).error().code == Code::invalid);
  CHECK(!sys::exists(f.root + "/vz/101/ct/first"));
}

TEST_CASE("walk: bounded in depth") {
  const Fake f;
  std::string path = f.root;
  for (int i = 0; i < 70; ++i) path += "/d";
  REQUIRE(sys::make_dirs(path));
  const auto r = cgroups::walk(f.root, [](int, const std::string&) { return Result<void>(); });
  REQUIRE(!r);
  CHECK(r.error().code == Code::invalid);
}
