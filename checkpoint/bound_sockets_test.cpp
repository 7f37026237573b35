#include "checkpoint/bound_sockets.h"

#include "tests/catch.h"

using namespace vz;
using namespace vz::checkpoint;

namespace {

// As Debian's haproxy has it, with a bind mount of a plain directory beside.
constexpr const char* kMounts =
    "307 283 7:1 /fs / rw,relatime idmapped - ext4 /dev/loop1 rw\n"
    "308 307 0:84 / /run rw,nosuid,nodev shared:60 - tmpfs tmpfs rw\n"
    "309 307 0:84 /systemd/journal/dev-log /var/lib/haproxy/dev/log ro,nosuid,nodev shared:60 - tmpfs tmpfs rw\n"
    "310 307 7:1 /fs/srv/with\\040blank /mnt/x rw - ext4 /dev/loop1 rw\n"
    "311 307 0:99 /only /elsewhere rw - tmpfs tmpfs rw\n"
    "312 307 0:84 /systemdX/y /z rw - tmpfs tmpfs rw\n"
    "short line\n";

BoundSocket socket(const std::string& at, const std::string& path, const std::string& name) {
  return {7, at, path, name, true};
}

}  // namespace

TEST_CASE("what is mounted at a second place is found in mountinfo") {
  const auto found = bound_files(kMounts);
  REQUIRE(found.size() == 3);
  CHECK(found[0].at == "/var/lib/haproxy/dev/log");
  CHECK(found[0].path == "/run/systemd/journal/dev-log");
  CHECK(found[0].name == "/systemd/journal/dev-log");
  CHECK(found[0].read_only);
  CHECK(found[1].at == "/mnt/x");
  CHECK(found[1].path == "/srv/with blank");  // seen through the root, which is a directory of the image
  CHECK_FALSE(found[1].read_only);
  CHECK(found[2].path == "/run/systemdX/y");
  CHECK(bound_files("").empty());
  CHECK(bound_files("1 2 0:1 /a\\04 /b ro - t s rw\n1 2 0:1 / / rw - t s rw\n").size() == 1);  // cut off in an escape
}

TEST_CASE("sockets go over as text, and what comes is looked at") {
  const std::vector<BoundSocket> sockets = {socket("/a b", "/run/x", "/x"), socket("/c", "/run/y", "/y")};
  const auto back = parse_sockets(print_sockets(sockets));
  REQUIRE(back);
  REQUIRE(back->size() == 2);
  CHECK((*back)[0].at == "/a b");
  CHECK((*back)[0].process == 7);
  CHECK((*back)[1].read_only);
  CHECK(placeholders(sockets) == "VESSEL_SOCKETS=/x\n/y\n");
  CHECK_FALSE(parse_sockets(print_sockets({socket("a", "/run/x", "/x")})));
  CHECK_FALSE(parse_sockets(print_sockets({socket("/a", "/run/../x", "/x")})));
  CHECK_FALSE(parse_sockets(print_sockets({socket("/a", "/run/x", "/x\n/etc/y")})));
  CHECK_FALSE(parse_sockets(print_sockets({kMostSockets + 1, socket("/a", "/b", "/c")})));
  for (const char* bad : {"", "{", "[1]", "[{}]", "{\"a\":1}", "[{\"process\":\"x\"}]"})
    CHECK_FALSE(parse_sockets(bad));
}
