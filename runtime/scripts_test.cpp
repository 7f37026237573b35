#include "runtime/scripts.h"
#include "sys/mountinfo.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::runtime;

namespace {
using Paths = std::vector<std::string>;
}

TEST_CASE("action scripts: those for all come first on the way up, last on the way down") {
  const state::Paths at;
  CHECK(script_paths(at, 101, Event::premount) == Paths{"/etc/vz/conf/vps.premount", "/etc/vz/conf/101.premount"});
  CHECK(script_paths(at, 101, Event::mount) == Paths{"/etc/vz/conf/vps.mount", "/etc/vz/conf/101.mount"});
  CHECK(script_paths(at, 101, Event::umount) == Paths{"/etc/vz/conf/101.umount", "/etc/vz/conf/vps.umount"});
  CHECK(script_paths(at, 101, Event::postumount) ==
        Paths{"/etc/vz/conf/101.postumount", "/etc/vz/conf/vps.postumount"});
}

TEST_CASE("action scripts: what runs inside is the CT's own, what follows create is everybody's") {
  const state::Paths at;
  CHECK(script_paths(at, 7, Event::start) == Paths{"/etc/vz/conf/7.start"});
  CHECK(script_paths(at, 7, Event::stop) == Paths{"/etc/vz/conf/7.stop"});
  CHECK(script_paths(at, 7, Event::create) == Paths{"/etc/vz/conf/vps.create"});
  CHECK(own_scripts(at, 7) == Paths{"/etc/vz/conf/7.premount", "/etc/vz/conf/7.mount", "/etc/vz/conf/7.start",
                                    "/etc/vz/conf/7.stop", "/etc/vz/conf/7.umount", "/etc/vz/conf/7.postumount"});
}

TEST_CASE("action scripts: their environment is exactly this") {
  CHECK(script_environment(state::Paths{}, 101) ==
        Paths{"HOME=/", "TERM=linux", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "VEID=101",
              "VE_CONFFILE=/etc/vz/conf/101.conf"});
}

TEST_CASE("action scripts: only what root alone can change is run") {
  struct ::stat st {};
  const auto with = [&](uid_t owner, mode_t mode) {
    st.st_uid = owner;
    st.st_mode = mode;
    return distrust(st, "/x");
  };
  CHECK(with(0, S_IFREG | 0755).empty());
  CHECK(with(0, S_IFREG | 0600).empty());
  CHECK(with(0, S_IFDIR | 0755).empty());
  CHECK(with(1000, S_IFREG | 0755) == "'/x' is not owned by root; run: chown root /x");
  CHECK(with(0, S_IFREG | 0775) == "others than root can write to '/x'; run: chmod go-w /x");
  CHECK(with(0, S_IFREG | 0757) == "others than root can write to '/x'; run: chmod go-w /x");
  CHECK(with(0, S_IFDIR | 01777) == "others than root can write to '/x'; run: chmod go-w /x");
  CHECK(with(0, S_IFIFO | 0600) == "'/x' is no regular file");
}

TEST_CASE("mounts below a directory: inner ones first, the top one of a stack first") {
  const std::string text =
      "20 1 8:1 / / rw - ext4 /dev/a rw\n"
      "30 20 8:2 /fs /root/101 rw - ext4 /dev/b rw\n"
      "31 30 8:1 /data /root/101/data rw,idmapped - ext4 /dev/a rw\n"
      "32 31 0:40 / /root/101/data/a\\040b rw - tmpfs t rw\n"
      "33 31 0:41 / /root/101/data rw - fuse f rw\n"
      "34 20 8:3 / /root/1011 rw - ext4 /dev/c rw\n";
  const auto below = sys::mounts_below(text, "/root/101");
  REQUIRE(below.size() == 3);
  CHECK(below[0].path == "/root/101/data/a b");
  CHECK(below[1].path == "/root/101/data");
  CHECK(below[1].type == "fuse");
  CHECK_FALSE(below[1].idmapped);
  CHECK(below[2].type == "ext4");
  CHECK(below[2].idmapped);
  CHECK(sys::mounts_below(text, "/root/1011").empty());
}
