// Against the kernel and rsync: what is sent by the list of changes makes the copy equal to the tree.
#include "migrate/change_watch.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>

#include "base/strings.h"
#include "migrate/changes.h"
#include "migrate/peer.h"
#include "sys/files.h"
#include "sys/process.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::migrate;

namespace {

struct Trees {
  tests::TempDir dir;
  std::string tree = dir.path + "/tree", copy = dir.path + "/copy";
  Trees() {
    REQUIRE(sys::make_dirs(tree));
    REQUIRE(sys::make_dirs(copy));
  }
  std::string at(const std::string& path) const { return tree + "/" + path; }
  void write(const std::string& path, const std::string& text) const {
    REQUIRE(sys::replace_file(at(path), text, 0644, false));
  }

  std::string rsync(std::vector<std::string> options, const std::string& list = "") const {
    sys::Program p{.argv = {"rsync"}};
    p.argv.insert(p.argv.end(), options.begin(), options.end());
    p.argv.insert(p.argv.end(), {"--", tree + "/", copy + "/"});
    p.input = list;
    const auto out = sys::run_ok(p);
    if (!out) FAIL(out.error().text);
    return *out;
  }
  void send(const Names& names) const {
    if (names.empty()) return;
    Names listed = names;
    REQUIRE(remove_names(copy, take_gone(tree, listed)));
    rsync(rsync_options({.files_from = list_of(listed)}), list_of(listed));
  }
  // What still differs, by contents.
  std::string difference() const {
    std::vector<std::string> options = rsync_options({});
    options.insert(options.end(), {"--checksum", "--dry-run", "--itemize-changes"});
    return rsync(options);
  }
};

// nullopt, and why: it cannot run here.
bool begin(ChangeWatch& watch, const std::string& root) {
  const auto begun = watch.begin(root);
  if (begun) return true;
  if (const char* must = std::getenv("VESSEL_MUST_RUN"); must && *must == '1') FAIL(begun.error().text);
  WARN("not run: " << begun.error().text);
  return false;
}

void tick() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

const std::vector<pid_t> kOurs = {::getpid()};

// One of a program's usual doings somewhere in the tree.
void disturb(const Trees& t, std::mt19937& random) {
  auto any = [&](unsigned n) { return static_cast<int>(random() % n); };
  auto directory = [&] { return t.at(fmt::format("d{}/e{}", any(4), any(4))); };
  auto file = [&] { return fmt::format("{}/f{}", directory(), any(6)); };
  const std::string path = file();
  switch (any(10)) {
    case 0:
      (void)sys::replace_file(path, std::to_string(random()), 0644, false);
      break;
    case 1: {
      if (const auto fd = sys::open(path, O_WRONLY | O_APPEND | O_NOFOLLOW)) (void)sys::write_all(fd->get(), "more");
      break;
    }
    case 2:
      (void)::unlink(path.c_str());
      break;
    case 3:
      (void)::rename(path.c_str(), file().c_str());
      break;
    case 4:
      (void)::rename(directory().c_str(), (directory() + "x").c_str());
      break;
    case 5:
      (void)::rename(t.at(fmt::format("d{}", any(4))).c_str(), t.at(fmt::format("d{}", any(4) + 4)).c_str());
      break;
    case 6:
      (void)sys::make_dirs(directory());
      break;
    case 7:
      (void)::chmod(path.c_str(), 0600 | static_cast<mode_t>(any(8)));
      break;
    case 8:
      (void)!::symlink("somewhere", (path + "l").c_str());
      break;
    case 9:
      (void)::lsetxattr(path.c_str(), "user.x", "1", 1, 0);
      break;
  }
}

}  // namespace

TEST_CASE("change watch: a random tree is equal after what it tells is sent") {
  unsigned lost = 0;  // the queue is for all of the file system, and others may be busy on it
  for (unsigned seed = 1; seed <= 12; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const Trees t;
    for (int d = 0; d < 4; ++d)
      for (int e = 0; e < 4; ++e) {
        REQUIRE(sys::make_dirs(t.at(fmt::format("d{}/e{}/deep/er", d, e))));
        t.write(fmt::format("d{}/e{}/deep/er/f", d, e), "deep");
        for (int f = 0; f < 6; ++f) t.write(fmt::format("d{}/e{}/f{}", d, e, f), "x");
      }
    for (int i = 0; i < 40; ++i) disturb(t, random);
    ChangeWatch watch;
    if (!begin(watch, t.tree)) return;
    const timespec since = change_clock();
    const auto before = directories_of(t.tree);
    t.rsync(rsync_options({}));
    REQUIRE(t.difference().empty());
    tick();
    for (int i = 0; i < 60; ++i) disturb(t, random);
    const auto told = watch.changes(kOurs, since);
    lost += !told;
    const auto walked = changed_since(t.tree, since, *before);
    REQUIRE(walked);
    t.send(told && seed % 2 ? *told : *walked);  // the two have to be as good
    CHECK(t.difference() == "");
    const auto more = watch.changes(kOurs, since);
    CHECK((!more || more->empty()));
  }
  CHECK(lost < 4);
}

TEST_CASE("change watch: what is written through a mapping") {
  const Trees t;
  t.write("mapped", std::string(8192, 'a'));
  t.write("still", std::string(8192, 'a'));
  sys::UniqueFd fd = std::move(*sys::open(t.at("mapped"), O_RDWR));
  auto* memory = static_cast<char*>(::mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0));
  REQUIRE(memory != MAP_FAILED);
  ChangeWatch watch;
  if (!begin(watch, t.tree)) return;
  const timespec since = change_clock();
  REQUIRE(sys::sync_fs(t.tree));
  t.rsync(rsync_options({}));
  tick();
  memory[5000] = 'b';
  std::optional<Names> told;
  SECTION("mapped and open") { told = watch.changes(kOurs, since); }
  SECTION("only mapped") {
    fd.reset();
    told = watch.changes(kOurs, since);
  }
  SECTION("only open") {
    ::munmap(memory, 8192);
    told = watch.changes(kOurs, since);
  }
  SECTION("neither any more") {
    ::munmap(memory, 8192);
    fd.reset();
    told = watch.changes({}, since);
  }
  REQUIRE(told);
  CHECK(*told == Names{".", "mapped"});
  t.send(*told);
  CHECK(t.difference() == "");
}

TEST_CASE("change watch: what it cannot know it says") {
  const Trees t;
  t.write("a", "x");
  REQUIRE(::link(t.at("a").c_str(), t.at("b").c_str()) == 0);
  ChangeWatch watch;
  CHECK_FALSE(watch.changes({}, {}));  // not begun
  if (!begin(watch, t.tree)) return;
  SECTION("a file with two names") { REQUIRE(::chmod(t.at("a").c_str(), 0600) == 0); }
  SECTION("more changes than the queue holds") {
    for (int i = 0; i < 20000; ++i) REQUIRE(sys::open(t.at(std::to_string(i)), O_WRONLY | O_CREAT, 0600));
  }
  CHECK_FALSE(watch.changes({}, {}));
  watch.end();
}

TEST_CASE("change watch: mappings that write to files") {
  const auto found = shared_mappings(
      "7f00-7f01 rw-s 00000000 fe:0a 77 /var/lib/a file\n7f00-7f01 rw-p 00000000 fe:0a 78 /x\n"
      "7f00-7f01 r--s 00000000 fe:0a 79 /y\n7f00-7f01 rw-s 00000000 00:01 0 /z\nnonsense\n");
  REQUIRE(found.size() == 1);
  CHECK(found[0].major == 0xfe);
  CHECK(found[0].minor == 10);
  CHECK(found[0].inode == 77);
  CHECK(found[0].path == "/var/lib/a file");
}
