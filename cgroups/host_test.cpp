#include "cgroups/cgroups.h"
#include "tests/catch.h"

using namespace vz;
using cgroups::Host;

namespace {

constexpr const char* kHybrid =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "23 27 0:22 / /sys rw,relatime - sysfs sysfs rw\n"
    "24 27 0:6 / /dev rw,relatime - devtmpfs devtmpfs rw,size=12334492k,nr_inodes=3083623,mode=755\n"
    "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard,resv_strict,resuid=65534,resgid=65534\n"
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n"
    "34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
    "36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices\n"
    "37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime - cgroup cgroup rw,freezer\n"
    "38 31 0:35 / /sys/fs/cgroup/blkio rw,relatime - cgroup cgroup rw,blkio\n"
    "39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n"
    "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

constexpr const char* kPure =
    "21 26 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw\n"
    "26 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"
    "29 21 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 "
    "rw,nsdelegate,memory_recursiveprot\n";

constexpr const char* kCoMounted =
    "25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "30 25 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:8 - tmpfs tmpfs ro,mode=755\n"
    "31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
    "32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:10 - cgroup cgroup rw,seclabel,xattr,name=systemd\n"
    "35 30 0:31 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:15 - cgroup cgroup rw,seclabel,cpu,cpuacct\n"
    "36 30 0:32 / /sys/fs/cgroup/net_cls,net_prio rw shared:16 - cgroup cgroup "
    "rw,release_agent=/lib/agent,clone_children,net_cls,net_prio\n";

std::string v1_mount(const Host& host, std::string_view name) {
  const auto* c = host.find(name);
  return c ? c->v1_mount : "absent";
}

}  // namespace

TEST_CASE("host: hybrid, each controller on v1") {
  const auto host = cgroups::parse_host(kHybrid, "\n");
  REQUIRE(host);
  CHECK(host->v2_mount == "/sys/fs/cgroup/unified");
  CHECK(host->controllers.size() == 9);
  for (const char* name : {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"})
    CHECK(v1_mount(*host, name) == std::string("/sys/fs/cgroup/") + name);
  CHECK(v1_mount(*host, "name=systemd") == "/sys/fs/cgroup/systemd");
  CHECK(!host->find("io"));
}

TEST_CASE("host: pure v2") {
  const auto host = cgroups::parse_host(kPure, "cpuset cpu io memory hugetlb pids rdma misc\n");
  REQUIRE(host);
  CHECK(host->v2_mount == "/sys/fs/cgroup");
  CHECK(host->controllers.size() == 8);
  CHECK(v1_mount(*host, "memory").empty());
  CHECK(v1_mount(*host, "freezer") == "absent");
}

TEST_CASE("host: a mixture, co-mounted controllers and foreign options") {
  const auto host = cgroups::parse_host(kCoMounted, "memory pids");
  REQUIRE(host);
  CHECK(host->v2_mount == "/sys/fs/cgroup/unified");
  CHECK(v1_mount(*host, "cpu") == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(v1_mount(*host, "cpuacct") == "/sys/fs/cgroup/cpu,cpuacct");
  CHECK(v1_mount(*host, "net_prio") == "/sys/fs/cgroup/net_cls,net_prio");
  CHECK(v1_mount(*host, "memory").empty());
  CHECK(host->controllers.size() == 7);
}

TEST_CASE("host: legacy has no cgroup2, and then no v2 controllers") {
  const auto host = cgroups::parse_host("31 1 0:29 / /cgroup rw - cgroup cgroup rw,memory\n", "pids");
  REQUIRE(host);
  CHECK(host->v2_mount.empty());
  CHECK(v1_mount(*host, "memory") == "/cgroup");
  CHECK(!host->find("pids"));
}

TEST_CASE("host: what another mount covers is not there") {
  const std::string above = std::string(kPure) + "50 21 0:60 / /sys rw - sysfs sysfs rw\n";
  CHECK(cgroups::parse_host(above, "")->v2_mount.empty());
  const std::string same = std::string(kPure) + "50 29 0:60 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n";
  CHECK(cgroups::parse_host(same, "")->v2_mount.empty());
  const std::string again = same + "51 50 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
  CHECK(cgroups::parse_host(again, "")->v2_mount == "/sys/fs/cgroup/unified");
}

TEST_CASE("host: the whole hierarchy before a bind mount of a part; blanks in paths") {
  const auto host = cgroups::parse_host(
      "1 1 0:1 / / rw - ext4 a rw\n"
      "2 1 0:26 /vz/101 /mnt/part rw - cgroup2 none rw\n"
      "3 1 0:26 / /mnt/my\\040groups rw shared:1 master:2 - cgroup2 none rw\n",
      "");
  REQUIRE(host);
  CHECK(host->v2_mount == "/mnt/my groups");
}

TEST_CASE("host: whose a process is") {
  CHECK(cgroups::group_of_process("1:cpu:/vz/7\n0::/vz/101/ct/system.slice/cron.service\n") == "101");
  CHECK(cgroups::group_of_process("0::/vz/101\n") == "101");
  CHECK(cgroups::group_of_process("0::/vz/web/ct/vz/5\n") == "web");
  for (const char* foreign : {"", "0::/", "0::/vz\n", "0::/vz/\n", "0::/user.slice/vz/101\n", "0::/../vz/101\n",
                              "0::/vzx/101\n", "1:name=systemd:/vz/101\n"})
    CHECK(cgroups::group_of_process(foreign) == std::nullopt);
}

TEST_CASE("host: foreign text is an error or nothing, never a crash") {
  CHECK(cgroups::parse_host("", "")->v2_mount.empty());
  CHECK(cgroups::parse_host("31 1 0:29\n", "").error().code == Code::invalid);
  CHECK(!cgroups::parse_host("1 2 3 4 5 6 7 8 9", ""));
  CHECK(!cgroups::parse_host("1 2 3 4 5 6 - cgroup2 none\n", ""));
  const auto loop = cgroups::parse_host("1 2 0:1 / /a rw - cgroup2 x rw\n2 1 0:1 / /b rw - ext4 x rw\n", "");
  CHECK(loop->v2_mount == "/a");
}

TEST_CASE("I/O of a group: both kernels' words") {
  const std::string v2 =
      "8:0 rbytes=100 wbytes=20 rios=3 wios=4 dbytes=0 dios=0\n7:1 rbytes=1 wbytes=2 rios=1 wios=1\n";
  CHECK(vz::cgroups::parse_io(v2, "") == vz::cgroups::IoBytes{100, 20});  // the loop's are on the disk as well
  CHECK(vz::cgroups::parse_io(v2, "7:1").written == 2);
  CHECK(vz::cgroups::parse_io("7:1 rbytes=100 wbytes=5\n8:0 rbytes=90 wbytes=9\n8:16 rbytes=1 wbytes=2\n", "") ==
        vz::cgroups::IoBytes{100, 11});
  const std::string v1 = "7:1 Read 4096\n7:1 Write 8192\n7:1 Sync 8192\n7:1 Total 12288\n8:0 Read 1\nTotal 12289\n";
  CHECK(vz::cgroups::parse_io(v1, "7:1").read == 4096);
  CHECK(vz::cgroups::parse_io(v1, "7:1").written == 8192);
  CHECK(vz::cgroups::parse_io(v1, "") == vz::cgroups::IoBytes{4096, 8192});
  CHECK(vz::cgroups::parse_io("", "").read == 0);
  CHECK(vz::cgroups::parse_io("8:0 rbytes=x\n8:0\n", "").read == 0);
}
