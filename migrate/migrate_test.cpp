#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <set>
#include <thread>
#include <tuple>
#include <vector>

#include "base/strings.h"
#include "migrate/changes.h"
#include "migrate/memory_plan.h"
#include "migrate/pace.h"
#include "migrate/peer.h"
#include "migrate/precopy.h"
#include "migrate/progress.h"
#include "migrate/rounds.h"
#include "migrate/terms.h"
#include "migrate/times.h"
#include "migrate/wire.h"
#include "sys/files.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::migrate;

namespace {
HostFacts facts() { return {kProtocol, "0.1.0", "6.1.0", "x86_64", "4.2.1", "", {"sse", "avx"}, ""}; }
}  // namespace

TEST_CASE("option strings split as a shell splits them") {
  CHECK(*split_words(" -p 22  -i '/a b' \"c\\\"d\" e\\ f ''") ==
        std::vector<std::string>{"-p", "22", "-i", "/a b", "c\"d", "e f", ""});
  CHECK(split_words("")->empty());
  CHECK_FALSE(split_words("'open"));
}

TEST_CASE("versions compare by number") {
  CHECK(older("3.17.1", "4.2"));
  CHECK(older("4.2", "4.2.1"));
  CHECK(older("4.2.1", "4.10"));
  CHECK_FALSE(older("4.2.1", "4.2.1"));
  CHECK_FALSE(older("5", "4.9"));
}

TEST_CASE("terms survive the wire, and lies are errors") {
  const auto f = parse_facts(print(facts()));
  REQUIRE(f);
  CHECK(f->cpu_flags == facts().cpu_flags);
  Offer offer{101, "HOSTNAME=\"\xff\"\n", "HOSTNAME=\"b\"\n", true, 5, 6, 7};
  const auto o = parse_offer(print(offer));
  REQUIRE(o);
  CHECK(o->id == 101);
  CHECK(o->live == offer.live);
  CHECK(o->used_kib == 5);
  CHECK(o->memory_kib == 7);
  const auto landing = parse_landing(print(Landing{.root = "/vz/root/101", .until = 1700000000}));
  REQUIRE(landing);
  CHECK(landing->root == "/vz/root/101");
  CHECK(landing->until == 1700000000);
  CHECK_FALSE(parse_landing("{\"root\":\"/\"}"));
  for (const char* bad : {"", "{}", "[]", "{\"ctid\":\"x\"}", "nonsense",
                          "{\"ctid\":0,\"conf\":\"\",\"live\":\"\",\"online\":true,\"used_kib\":0,\"used_inodes\":0}"})
    CHECK_FALSE(parse_offer(bad));
  CHECK_FALSE(parse_problems("{\"code\":1}"));
}

TEST_CASE("the destination has memory for images and what is restored from them") {
  constexpr const char* kMeminfo = "MemTotal: 4000000 kB\nMemAvailable:    1024000 kB\nSwapFree:  102400 kB\n";
  Offer offer;
  for (const auto& [mib, fits] : {std::pair(550, true), std::pair(551, false)}) {
    offer.memory_kib = static_cast<uint64_t>(mib) * 1024;
    CHECK(memory_problem(offer, kMeminfo).has_value() != fits);
  }
  CHECK(memory_problem(offer, "")->code == Code::no_space);
}

TEST_CASE("how memory moves: what is asked for, and what two hosts can do") {
  constexpr uint64_t kMuch = 256u << 20;
  const auto plan = [](const char* how, const MemoryFacts& facts) {
    Options options{.online = true};
    const std::string_view words = how;
    options.lazy = words.find("lazy") != words.npos;
    if (words.find("precopy") != words.npos) options.precopy = words.back() - '0';
    const MemoryPlan p = plan_memory(options, facts);
    return p.problem.empty()
               ? fmt::format("{}{}{}", p.pages ? "pages " : "images ", p.follows ? "follow " : "", p.rounds)
               : p.problem;
  };
  const MemoryFacts all{.bytes = kMuch}, little{.bytes = 1u << 20};
  const MemoryFacts soft_dirty{.bytes = kMuch, .no_write_tracking = "W"},
      no_fetching{.bytes = kMuch, .no_fetching = "F"};
  const MemoryFacts tracker_only{.bytes = kMuch, .no_image_rounds = "I"};
  const MemoryFacts nothing{.bytes = kMuch, .no_write_tracking = "W", .no_image_rounds = "I", .no_fetching = "F"};
  CHECK(plan("", all) == "pages 10");
  CHECK(plan("", tracker_only) == "pages 10");
  CHECK(plan("", little) == "images 0");
  CHECK(plan("", soft_dirty) == "images 10");
  CHECK(plan("", no_fetching) == "images 10");
  CHECK(plan("", nothing) == "images 0");
  CHECK(plan("precopy 0", all) == "images 0");
  CHECK(plan("precopy 3", little) == "pages 3");
  CHECK(plan("precopy 3", soft_dirty) == "images 3");
  CHECK(plan("precopy 3", nothing) == "--precopy: I");
  CHECK(plan("lazy", all) == "pages follow 0");
  CHECK(plan("lazy", soft_dirty) == "pages follow 0");
  CHECK(plan("lazy precopy 2", all) == "pages follow 2");
  CHECK(plan("lazy precopy 2", soft_dirty) == "--precopy: W");
  CHECK(plan("lazy", no_fetching) == "--lazy: F");
  CHECK(plan_memory({.lazy = false}, all).note.empty());
  CHECK(plan_memory({.online = true}, nothing).note.find("copied in the freeze: I") != std::string::npos);
  CHECK(plan_memory({.online = true}, no_fetching).note.find("waits for them: F") != std::string::npos);
}

TEST_CASE("a transfer keeps to its rate") {
  const auto began = std::chrono::steady_clock::now();
  Pace any, slow(1'000'000);
  for (int i = 0; i < 10; ++i) any.spend(100'000'000);
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::milliseconds(90));
  for (int i = 0; i < 10; ++i) slow.spend(10'000);
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(100));
}

TEST_CASE("rounds of memory end when they do not pay") {
  using namespace std::chrono_literals;
  constexpr uint64_t kMiB = 1u << 20;
  const Round all{1024 * kMiB, 10s};
  CHECK(another_round({}, 10));
  CHECK_FALSE(another_round({}, 0));
  CHECK(another_round(std::vector<Round>{all}, 10));
  CHECK_FALSE(another_round(std::vector<Round>{all}, 1));
  CHECK(another_round(std::vector<Round>{all, {200 * kMiB, 2s}}, 10));
  CHECK_FALSE(another_round(std::vector<Round>{all, {800 * kMiB, 8s}}, 10));
  CHECK_FALSE(another_round(std::vector<Round>{all, {200 * kMiB, 2s}, {190 * kMiB, 2s}}, 10));
  CHECK_FALSE(another_round(std::vector<Round>{all, {3 * kMiB, 1s}}, 10));
  CHECK_FALSE(another_round(std::vector<Round>{{0, 0s}}, 10));
}

TEST_CASE("rounds of memory tell what the freeze has left to copy") {
  using namespace std::chrono_literals;
  constexpr uint64_t kMiB = 1u << 20;
  CHECK_FALSE(outlook({}));
  CHECK_FALSE(outlook(std::vector<Round>{{1024 * kMiB, 10s}}));
  CHECK_FALSE(outlook(std::vector<Round>{{0, 0s}, {0, 0s}}));
  const auto next = outlook(std::vector<Round>{{1024 * kMiB, 8s}, {160 * kMiB, 2s}});
  REQUIRE(next);
  CHECK(next->written_per_second == 20.0 * kMiB);
  CHECK(next->left.count() == 2.0 * 20 / 128);
}

TEST_CASE("rounds of memory on the destination: each the parent of the next") {
  for (const char* good : {"pages-1.img", "1/pages-1.img", "10/inventory.img"}) CHECK(valid_image_name(good));
  for (const char* bad : {"", ".", "..", "a/b", "/x", "1/", "1/.x", "1/2/x", "0/x", "01/x", "11/x", "../x", "1//x"})
    CHECK_FALSE(valid_image_name(bad));
  const tests::TempDir dir;
  const auto link = [&](const char* name) { return sys::read_link(dir.path + "/" + name).value_or("none"); };
  for (const char* n : {"1", "2"}) REQUIRE(sys::make_dirs(dir.path + "/" + n));
  REQUIRE(take_round(dir.path, "1"));
  CHECK(link("parent") == "1");
  CHECK(link("1/parent") == "none");
  REQUIRE(take_round(dir.path, "2"));
  CHECK(link("parent") == "2");
  CHECK(link("2/parent") == "../1");
  REQUIRE(take_round(dir.path, "0"));
  CHECK(link("parent") == "none");
  for (const char* bad : {"", "x", "11", "-1", "3"}) CHECK_FALSE(take_round(dir.path, bad));
}

TEST_CASE("two hosts' facts: what stops a live move") {
  CHECK(compare(facts(), facts(), true).empty());
  HostFacts other = facts();
  other.cpu_flags.erase("avx");
  other.criu = "4.1.1";
  const auto problems = compare(facts(), other, true);
  REQUIRE(problems.size() == 2);
  CHECK(problems[0].code == Code::unsupported);
  CHECK(problems[1].code == Code::cpu_mismatch);
  CHECK(problems[1].text.find("avx") != std::string::npos);
  CHECK(compare(facts(), other, false).empty());
  other = facts();
  other.protocol = kProtocol + 1;
  CHECK(compare(facts(), other, false).size() == 1);
}

TEST_CASE("wire: messages, the peer's own error, and nonsense") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const Wire wire(ends[0], ends[1]);
  REQUIRE(wire.send("hello", std::string("a\0b", 3)));
  CHECK(*wire.expect("hello") == std::string("a\0b", 3));
  REQUIRE(wire.send_error(fail(Code::no_space, "disk full")));
  const auto r = wire.expect("ready");
  REQUIRE_FALSE(r);
  CHECK(r.error().code == Code::no_space);
  REQUIRE(::write(ends[1], "Welcome to this host, dear user", 31) == 31);
  CHECK(wire.receive().error().code == Code::peer);
  ::close(ends[1]);
  ::close(ends[0]);
}

TEST_CASE("times: the freeze is the sum of the frozen phases") {
  Times t;
  t.begin("Sync", false);
  t.begin("Dump", true);
  t.end();
  CHECK(t.frozen_seconds() >= 0);
  CHECK(t.table().find("Total suspended time") != std::string::npos);
}

TEST_CASE("progress: what rsync says becomes a line") {
  CHECK(bytes_done("        100   0%    0.00kB/s    0:00:00 (xfr#1, to-chk=0/1)\r     200   1%  1.0MB/s  0:00:01\r") ==
        200);
  CHECK(bytes_done("    1048576   3%   12.34MB/s    0:00:12 (xfr#12, ir-chk=1000/2000)") == 1048576);
  CHECK_FALSE(bytes_done("sending incremental file list\n"));
  CHECK_FALSE(bytes_done(""));
  constexpr uint64_t kMiB = 1 << 20;
  const std::chrono::seconds two(2);
  CHECK(progress_line("Copy", 50 * kMiB, 200 * kMiB, two) == "Copy: 25 %, 50 of 200 MiB, 25.0 MiB/s, 0:06 left");
  CHECK(progress_line("Copy", 50 * kMiB, 0, two) == "Copy: 50 MiB, 25.0 MiB/s");
  CHECK(progress_line("Copy", 50 * kMiB, 40 * kMiB, two) == "Copy: 100 %, 50 of 50 MiB, 25.0 MiB/s, 0:00 left");
  CHECK(progress_line("Copy", 0, kMiB, two) == "Copy: 0 %, 0 of 1 MiB, 0.0 MiB/s, 0:00 left");
}

namespace {

// Longer than a tick of the clock that change times are stamped with.
void tick() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

}  // namespace

TEST_CASE("changes: what changed, what is new, and all of a directory that was elsewhere") {
  const tests::TempDir dir;
  auto at = [&](const std::string& path) { return dir.path + "/" + path; };
  auto write = [&](const std::string& path) { REQUIRE(sys::replace_file(at(path), "x")); };
  for (const char* d : {"a/b/c", "still/deep"}) REQUIRE(sys::make_dirs(at(d)));
  for (const char* f : {"a/f", "a/b/f", "a/b/c/f", "still/f", "still/deep/f"}) write(f);
  tick();
  const timespec since = change_clock();
  const auto before = directories_of(dir.path);
  REQUIRE(before);
  CHECK(before->size() == 6);
  CHECK(changed_since(dir.path, since, *before)->empty());
  tick();
  SECTION("renamed") {
    REQUIRE(::rename(at("a/b").c_str(), at("b2").c_str()) == 0);
    CHECK(*changed_since(dir.path, since, *before) ==
          Names{"./", "a/", "b2/", "b2", "b2/f", "b2/c/", "b2/c", "b2/c/f"});
  }
  SECTION("a file with another name elsewhere") {
    REQUIRE(::link(at("a/b/f").c_str(), at("still/deep/link").c_str()) == 0);
    tick();
    const timespec later = change_clock();
    const auto then = directories_of(dir.path);
    tick();
    REQUIRE(::rename(at("a").c_str(), at("a2").c_str()) == 0);
    CHECK(*changed_since(dir.path, later, *then) == Names{"./", "a2/", "a2", "a2/f", "a2/b/", "a2/b", "a2/b/f",
                                                          "a2/b/c/", "a2/b/c", "a2/b/c/f", "still/deep",
                                                          "still/deep/link"});
  }
  SECTION("two that change places") {
    REQUIRE(::renameat2(AT_FDCWD, at("a/b").c_str(), AT_FDCWD, at("still/deep").c_str(), RENAME_EXCHANGE) == 0);
    const auto changed = *changed_since(dir.path, since, *before);
    for (const char* f : {"a/b/", "a/b/f", "still/deep/", "still/deep/f", "still/deep/c/", "still/deep/c/f"})
      CHECK(changed.contains(f));
    CHECK_FALSE(changed.contains("a/f"));
  }
  SECTION("written, made, removed, another mode") {
    REQUIRE(sys::make_dirs(at("new/sub")));
    write("new/sub/f");
    REQUIRE(::unlink(at("a/b/f").c_str()) == 0);
    REQUIRE(::chmod(at("still/f").c_str(), 0600) == 0);
    CHECK(*changed_since(dir.path, since, *before) ==
          Names{"./", "a/b/", "new/", "new/sub/", "new/sub", "new/sub/f", "still", "still/f"});
  }
}
