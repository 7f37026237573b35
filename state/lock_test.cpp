#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <functional>
#include <thread>

#include "state/state.h"
#include "sys/files.h"
#include "sys/process.h"
#include "tests/catch.h"
#include "tests/temp_dir.h"

using namespace vz;
using namespace vz::state;

namespace {

// A PID that was just used and reaped.
pid_t dead_pid() {
  const auto child = sys::fork_process();
  REQUIRE(child);
  if (child->pid == 0) ::_exit(0);
  REQUIRE(sys::wait_child(child->pid));
  return child->pid;
}

int in_child(const std::function<int()>& work) {
  const auto child = sys::fork_process();
  REQUIRE(child);
  if (child->pid == 0) ::_exit(work());
  const auto status = sys::wait_child(child->pid);
  REQUIRE(status);
  return status->code;
}

struct LockDir : tests::TempDir {
  std::string file() const { return path + "/101.lck"; }
  std::string text() const { return sys::read_file(file()).value_or("(none)"); }
  void write(std::string_view content) const { REQUIRE(sys::replace_file(file(), content)); }
  void age(time_t seconds) const {
    const timespec when[2] = {{::time(nullptr) - seconds, 0}, {::time(nullptr) - seconds, 0}};
    REQUIRE(::utimensat(AT_FDCWD, file().c_str(), when, 0) == 0);
  }
  Result<Lock> take(std::string_view status = "testing") const { return Lock::take(path, 101, status, true); }
  bool takeable() const { return static_cast<bool>(take()); }
};

}  // namespace

TEST_CASE("lock: the file says who and what, and goes with the lock") {
  const LockDir dir;
  {
    const auto lock = Lock::take(dir.path + "/made/below", 101, "starting");
    REQUIRE(lock);
    const std::string text = sys::read_file(dir.path + "/made/below/101.lck").value_or("");
    CHECK(text.rfind(std::to_string(::getpid()) + "\nstarting\n", 0) == 0);
    CHECK(sys::list_dir(dir.path + "/made/below")->size() == 1);
  }
  CHECK(sys::list_dir(dir.path + "/made/below")->empty());
}

TEST_CASE("lock: one holder at a time, other containers do not mind") {
  const LockDir dir;
  const auto lock = dir.take();
  REQUIRE(lock);
  const auto second = dir.take();
  REQUIRE(!second);
  CHECK(second.error().code == Code::locked);
  CHECK(second.error().text == "Container already locked");
  CHECK(Lock::take(dir.path, 102, "testing"));
  CHECK(in_child([&] { return dir.takeable() ? 1 : 0; }) == 0);
}

TEST_CASE("lock: a forked child does not release it") {
  const LockDir dir;
  auto lock = dir.take();
  REQUIRE(lock);
  CHECK(in_child([&] {
          Lock copy = std::move(*lock);
          return 0;
        }) == 0);
  CHECK(!dir.takeable());
}

TEST_CASE("lock: stale ones are taken over") {
  const LockDir dir;
  const std::string dead = std::to_string(dead_pid()), self = std::to_string(::getpid()), init = "1";
  for (const std::string& text :
       {dead, dead + "\n", dead + "\nstarting\n", dead + "\nstarting\nboot 5\n", init + "\nstarting\nother-boot 5\n",
        self + "\nstarting\nother-boot 5\n", std::to_string(UINT64_MAX) + "\n"}) {
    CAPTURE(text);
    dir.write(text);
    dir.age(60);
    CHECK(dir.takeable());
    CHECK(sys::list_dir(dir.path)->empty());
  }
}

TEST_CASE("lock: a reused PID is told by its start time") {
  const LockDir dir;
  const auto lock = dir.take();
  REQUIRE(lock);
  std::string text = dir.text();
  CHECK(!dir.takeable());
  text.back() = '1';
  dir.write(text);
  CHECK(dir.takeable());
}

TEST_CASE("lock: a foreign file with a live PID holds, an empty one only while it may be being written") {
  const LockDir dir;
  for (const char* text : {"1", "1\n", "1\nstarting\n", " 1 \n"}) {
    CAPTURE(text);
    dir.write(text);
    CHECK(!dir.takeable());
    CHECK(dir.text() == text);
  }
  for (const char* text : {"", "\n", "garbage", "-1\n", "0\n", "99999999999999999999\n"}) {
    CAPTURE(text);
    dir.write(text);
    dir.age(3600);
    CHECK(dir.takeable());
    dir.write(text);
    dir.age(-3600);
    CHECK(dir.takeable());
  }
  dir.write("");
  CHECK(!dir.takeable());
}

TEST_CASE("lock: whoever comes while a supervisor cleans up waits for it") {
  const LockDir dir;
  auto ending = dir.take(kEnded);
  REQUIRE(ending);
  std::thread supervisor([held = std::move(*ending)] { std::this_thread::sleep_for(std::chrono::milliseconds(30)); });
  CHECK(dir.takeable());
  supervisor.join();
}

TEST_CASE("lock: whoever is killed while waiting leaves nothing") {
  const LockDir dir;
  const auto ending = dir.take(kEnded);
  REQUIRE(ending);
  const auto child = sys::fork_process();
  REQUIRE(child);
  if (child->pid == 0) ::_exit(dir.takeable() ? 1 : 2);
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  REQUIRE(::kill(child->pid, SIGKILL) == 0);
  CHECK(sys::wait_child(child->pid)->signal == SIGKILL);
  CHECK(sys::list_dir(dir.path)->size() == 1);
}

TEST_CASE("lock: whoever comes while a child of a killed holder carries on waits for it") {
  const LockDir dir;
  const std::string finished = dir.path + "/finished";
  CHECK(in_child([&] {
          const auto lock = dir.take("starting");
          const auto supervisor = sys::fork_process();
          if (!lock || !supervisor) return 1;
          if (supervisor->pid > 0) ::_exit(0);  // dies without releasing
          std::this_thread::sleep_for(std::chrono::milliseconds(30));
          ::_exit(sys::open(finished, O_WRONLY | O_CREAT, 0600) ? 0 : 1);
        }) == 0);
  CHECK(dir.takeable());
  CHECK(sys::exists(finished));
}

TEST_CASE("lock: what a killed holder has started holds nothing") {
  const LockDir dir;
  int fds[2];
  REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
  CHECK(in_child([&]() -> int {
          const auto lock = dir.take("starting");
          const auto started = sys::start({.argv = {"cat"}, .stdin_fd = fds[0]});
          ::_exit(lock && started ? 0 : 1);
        }) == 0);
  ::close(fds[0]);
  const auto begin = std::chrono::steady_clock::now();
  CHECK(dir.takeable());
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(5));
  ::close(fds[1]);
}

TEST_CASE("lock: a path that is no lock file is an error, not taken over") {
  const LockDir dir;
  REQUIRE(sys::make_dirs(dir.file()));
  REQUIRE(!dir.take());
  REQUIRE(sys::remove_dir(dir.file()));
  REQUIRE(::symlink("/etc/passwd", dir.file().c_str()) == 0);
  REQUIRE(!dir.take());
  CHECK(sys::list_dir(dir.path)->size() == 1);
  const auto r = Lock::take(dir.file(), 101, "x");
  REQUIRE(!r);
  CHECK(r.error().text.rfind("Unable to lock container: ", 0) == 0);
}

// Each round leaves a stale lock; of all who jump on it, holding must stay exclusive (an O_EXCL file says so).
TEST_CASE("lock: never two holders, with many takers and stale locks") {
  const LockDir dir;
  constexpr int kTakers = 8, kRounds = 60;
  const std::string inside = dir.path + "/inside";
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  std::vector<pid_t> children;
  for (int t = 0; t < kTakers; ++t) {
    const auto child = sys::fork_process();
    REQUIRE(child);
    if (child->pid > 0) {
      children.push_back(child->pid);
      continue;
    }
    for (int round = 0; round < kRounds; ++round) {
      const pid_t worker = ::fork();
      if (worker != 0) {
        int status = 0;
        if (worker < 0 || ::waitpid(worker, &status, 0) != worker || !WIFEXITED(status) || WEXITSTATUS(status) > 1)
          ::_exit(1);
        continue;
      }
      ::dup2(null, STDERR_FILENO);
      auto lock = dir.take();
      if (!lock) ::_exit(lock.error().code == Code::locked ? 0 : 2);
      if (!sys::open(inside, O_WRONLY | O_CREAT | O_EXCL, 0600)) ::_exit(3);
      ::usleep(100);
      if (!sys::remove_file(inside)) ::_exit(4);
      if (round % 2) ::_exit(1);  // dies without releasing
      { Lock gone = std::move(*lock); }
      ::_exit(1);
    }
    ::_exit(0);
  }
  for (const pid_t pid : children) {
    const auto status = sys::wait_child(pid);
    REQUIRE(status);
    CHECK(status->ok());
  }
  ::close(null);
  CHECK(!sys::exists(inside));
  CHECK(dir.takeable());
  CHECK(sys::list_dir(dir.path)->empty());
}
