#include "templates/apt_sources.h"

#include "sys/files.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::templates;

namespace {
using Words = std::vector<std::string>;
}

TEST_CASE("sources.list: lines, options, comments") {
  const auto all = parse_sources_list(
      "# comment\n"
      "deb http://a.example/debian bookworm main contrib # why\n"
      "deb-src http://a.example/debian bookworm main\n"
      "\tdeb [ arch=amd64 signed-by=/k.gpg ] https://b.example/x ./\n"
      "deb [signed-by=/k.gpg] https://b.example/debian trixie main\n"
      "deb [broken http://c.example/debian trixie main\n"
      "deb\n"
      "deb http://d.example/debian/ trixie non-free");
  REQUIRE(all.size() == 3);
  CHECK(all[0].uris == Words{"http://a.example/debian"});
  CHECK(all[0].suites == Words{"bookworm"});
  CHECK(all[0].components == Words{"main", "contrib"});
  CHECK(all[1].signed_by == "/k.gpg");
  CHECK(all[2].components == Words{"non-free"});
}

TEST_CASE("*.sources: stanzas, folded fields, disabled ones") {
  const auto all = parse_deb822_sources(
      "Types: deb deb-src\n"
      "# comment\n"
      "URIs: http://a.example/debian\n"
      "Suites: trixie\n"
      " trixie-updates\n"
      "Components: main\n"
      "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
      "\n\n"
      "types: deb\nuris: http://b.example/debian\nsuites: trixie\ncomponents: main\nenabled: no\n"
      "\n"
      "Types: deb-src\nURIs: http://c.example/debian\nSuites: trixie\nComponents: main\n"
      "\n"
      "nonsense\n"
      "Types: deb\nURIs: http://d.example/debian-security\nSuites: trixie-security\nComponents: main");
  REQUIRE(all.size() == 2);
  CHECK(all[0].suites == Words{"trixie", "trixie-updates"});
  CHECK(all[0].signed_by == "/usr/share/keyrings/debian-archive-keyring.gpg");
  CHECK(all[1].uris == Words{"http://d.example/debian-security"});
  CHECK(parse_deb822_sources("").empty());
}

TEST_CASE("mirror: Debian's own archive among others") {
  const auto mirror = pick_mirror(parse_sources_list(
      "deb [signed-by=/usr/share/keyrings/other.gpg] https://other.example/deb stable main\n"
      "deb http://pgdg.example/apt bookworm-pgdg main\n"
      "deb http://docker.example/linux/debian bookworm stable\n"
      "deb cdrom:[Debian]/ bookworm main\n"
      "deb file:/srv/mirror bookworm main\n"
      "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://first.example/debian bookworm main\n"
      "deb http://second.example/debian bookworm main\n"
      "deb http://first.example/debian bookworm-updates main\n"
      "deb http://sec.example/debian-security bookworm-security main\n"));
  REQUIRE(mirror);
  CHECK(mirror->main == "http://first.example/debian");
  CHECK(mirror->security == "http://sec.example/debian-security");
  CHECK(mirror->updates);
}

TEST_CASE("mirror: none, and one without updates and security") {
  CHECK(!pick_mirror({}));
  CHECK(!pick_mirror(parse_sources_list("deb http://a.example/ubuntu jammy main\n")));
  const auto mirror = pick_mirror(parse_sources_list("deb http://a.example/debian sid main\n"));
  REQUIRE(mirror);
  CHECK(mirror->security.empty());
  CHECK(!mirror->updates);
}

TEST_CASE("mirror: the files of apt") {
  const tests::TempDir dir;
  CHECK(find_mirror(dir.path).error().code == Code::not_found);
  REQUIRE(sys::make_dirs(dir.path + "/sources.list.d"));
  REQUIRE(sys::replace_file(dir.path + "/sources.list.d/off.sources.disabled",
                            "Types: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\n"));
  CHECK(!find_mirror(dir.path));
  REQUIRE(sys::replace_file(dir.path + "/sources.list.d/debian.sources",
                            "Types: deb\nURIs: http://b.example/debian\nSuites: trixie\nComponents: main\n"));
  CHECK(find_mirror(dir.path).value_or({}).main == "http://b.example/debian");
  REQUIRE(sys::replace_file(dir.path + "/sources.list", "deb http://a.example/debian trixie main\n"));
  CHECK(find_mirror(dir.path).value_or({}).main == "http://a.example/debian");
}
