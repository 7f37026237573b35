#include "checkpoint/foreign_mounts.h"
#include "tests/catch.h"

using namespace vz;
using namespace vz::checkpoint;

TEST_CASE("mounts of the host's in a guest are told from its own") {
  const std::string host =
      "20 1 8:1 / / rw - ext4 /dev/a rw\n"
      "21 20 0:6 / /dev rw - tmpfs dev rw\n"
      "22 20 0:30 / /sys/fs/cgroup/unified rw - cgroup2 c rw\n"
      "24 20 0:4 net:[2] /run/netns/b rw - nsfs nsfs rw\n"
      "23 20 0:50 / /shared rw - nfs server:/ rw\n";
  const std::string guest =
      "60 1 8:1 /private/101 / rw,idmapped - ext4 /dev/a rw\n"
      "61 60 0:70 / /proc rw - proc proc rw\n"
      "62 61 0:6 /null /proc/swaps rw - tmpfs dev rw\n"
      "63 60 0:71 / /dev rw - tmpfs tmpfs rw\n"
      "64 63 0:6 /null /dev/null rw - tmpfs dev rw\n"
      "65 60 0:30 /vz/101 /sys/fs/cgroup rw - cgroup2 c rw\n"
      "80 60 0:4 net:[1] /run/netns/a rw - nsfs nsfs rw\n"
      "66 60 8:1 /private/101/srv /mnt rw - ext4 /dev/a rw\n";
  CHECK(foreign_mounts(guest, guest, host, "/run/vz").empty());
  const std::string more =
      "67 60 8:1 /data /data\\040one rw,idmapped - ext4 /dev/a rw\n"
      "68 60 8:1 /private/1011 /other rw - ext4 /dev/a rw\n"
      "60 60 8:2 /null /named rw - ext4 /dev/b rw\n"
      "69 60 8:2 / /disk rw - ext4 /dev/b rw\n"
      "72 63 0:80 /vessel-device-0 /dev/net/tun rw - tmpfs tmpfs rw\n"
      "70 60 0:50 /home /home rw - nfs server:/ rw\n"
      "71 60 0:6 /sda /dev/sda rw - tmpfs dev rw\n";
  CHECK(foreign_mounts(guest + more, guest, host, "/run/vz") ==
        std::vector<std::string>{"/data one", "/other", "/named", "/disk", "/dev/net/tun", "/home", "/dev/sda"});
  // A service that has changed its root, and another one with devices of its own.
  CHECK(foreign_mounts("90 80 8:1 /private/101/run/haproxy / rw - ext4 /dev/a rw\n"
                       "91 90 0:6 /null /run/x/dev/null rw - tmpfs dev rw\n"
                       "92 90 8:1 /data /data rw - ext4 /dev/a rw\n",
                       guest, host, "/run/vz") == std::vector<std::string>{"/data"});
  CHECK(foreign_mounts("", "", host, "/run/vz").empty());
  const std::string moving = "93 60 0:91 / /srv rw - tmpfs tmpfs rw\n";
  CHECK(foreign_mounts(guest + moving, guest, host + "94 20 0:91 / /run/vz/move/101/tmpfs/0 rw - tmpfs tmpfs rw\n",
                       "/run/vz")
            .empty());
  CHECK(foreign_mounts(guest + moving, guest, host + "94 20 0:91 / /run/vzx rw - tmpfs tmpfs rw\n", "/run/vz") ==
        std::vector<std::string>{"/srv"});
}
