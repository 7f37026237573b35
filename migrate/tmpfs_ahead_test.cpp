#include "migrate/tmpfs_ahead.h"

#include <sys/mount.h>

#include "tests/catch.h"

using namespace vz;
using namespace vz::migrate;

TEST_CASE("tmpfs: which mounts can go ahead, and what they are like") {
  const std::string mountinfo =
      "101 90 252:0 / / rw,relatime - ext4 /dev/dm-0 rw\n"
      "112 101 0:81 / /dev rw,nosuid - tmpfs tmpfs rw,size=4096k,nr_inodes=4096,mode=755,uid=7143424,gid=7143424\n"
      "157 112 0:83 / /dev/shm rw,nosuid,nodev,relatime - tmpfs tmpfs rw,uid=7143424,gid=7143424,inode64\n"
      "158 101 0:83 / /again rw - tmpfs tmpfs rw\n"             // the same file system
      "159 101 0:84 /part /part rw - tmpfs tmpfs rw\n"          // not all of it
      "160 101 0:85 / /read ro - tmpfs tmpfs rw\n"              // rsync could not fill it
      "161 101 0:86 / /huge rw - tmpfs tmpfs rw,huge=always\n"  // not known here
      "162 101 0:87 / /blank\\040in rw - tmpfs tmpfs rw\n"      // criu's option has no place for it
      "163 101 0:88 / /size rw - tmpfs tmpfs rw,size=1k/etc\n"  //
      "164 101 0:89 / /quick rw,noatime,noexec - tmpfs tmpfs rw\n";
  const auto found = find_tmpfs(mountinfo);
  REQUIRE(found.size() == 3);
  CHECK(found[0].point == "/dev");
  CHECK(found[0].terms == TmpfsTerms{MS_NOSUID | MS_STRICTATIME, "4096k", "4096"});
  CHECK(found[1].point == "/dev/shm");
  CHECK(found[1].terms == TmpfsTerms{MS_NOSUID | MS_NODEV | MS_RELATIME, "", ""});
  CHECK(found[1].line.starts_with("157 112 0:83 "));
  CHECK(found[2].terms == TmpfsTerms{MS_NOATIME | MS_NOEXEC, "", ""});
  CHECK(find_tmpfs("").empty());
}

TEST_CASE("tmpfs: told to the other side, which trusts nothing of it") {
  const std::vector<TmpfsTerms> all = {{MS_NOSUID | MS_STRICTATIME, "4096k", "4096"}, {MS_RELATIME, "", ""}};
  const auto back = parse_tmpfs_terms(print(all));
  REQUIRE(back);
  CHECK(*back == all);
  CHECK(parse_tmpfs_terms("")->empty());
  for (const char* bad : {"0 4096k", "x 1 1", "0 1k,mpol=bind 1", "0 -1 -", "0 1 1 1", "0 k 1"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_tmpfs_terms(bad));
  }
  CHECK_FALSE(parse_tmpfs_terms(std::to_string(MS_BIND) + " - -"));
  CHECK_FALSE(parse_tmpfs_terms(std::to_string(MS_REMOUNT) + " - -"));
  std::string many;
  for (int i = 0; i < 17; ++i) many += "0 - -\n";
  CHECK_FALSE(parse_tmpfs_terms(many));
}
