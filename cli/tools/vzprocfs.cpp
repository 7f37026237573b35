// vzprocfs: OpenVZ's files of /proc, in /run/vz/proc; vzprocfs(8).
#include <fcntl.h>
#include <fmt/core.h>
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "cli/proc_server.h"
#include "cli/tool.h"
#include "runtime/load_average.h"
#include "runtime/proc_tree.h"
#include "sys/files.h"
#include "sys/mountinfo.h"
#include "sys/mounts.h"
#include "sys/process.h"

namespace vz::cli {

namespace {

using namespace std::chrono_literals;

constexpr Option kOptions[] = {{"help", false, 'h'}, {"version"}};
constexpr const char* kUsage =
    "Usage: vzprocfs start|stop|status\n"
    "       vzprocfs cat FILE...\n"
    "       vzprocfs ls [DIRECTORY]\n"
    "Shows what an OpenVZ kernel has in /proc/user_beancounters, /proc/vz and /proc/bc in /run/vz/proc.\n"
    "  start   mounts it, and serves it in the background\n"
    "  stop    ends that\n"
    "  status  exit status 0: it is served, 3: it is not\n"
    "  cat     the same without a mount: \"vzprocfs cat vz/vestat\"\n"
    "  ls      what there is\n"
    "  -h, --help, --version\n";
constexpr int kNotServed = 3;
constexpr const char* kPidFile = "/run/vzprocfs.pid";

std::string mount_point() { return state::Paths().run_dir + "/proc"; }

// ---- the one daemon -----------------------------------------------------------------------------------------------

// The lock of who serves; it goes with its process, whatever ends that, and is not inherited.
struct ::flock whole_file() {
  struct ::flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// 0: nobody serves.
pid_t serving(int pid_file) {
  struct ::flock lock = whole_file();
  if (::fcntl(pid_file, F_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) return 0;
  return lock.l_pid;
}

// It stays for ever: a lock on a file that somebody removes would be one that nobody sees.
Result<sys::UniqueFd> open_pid_file() { return sys::open(kPidFile, O_RDWR | O_CREAT | O_NOFOLLOW, 0644); }

// What a daemon that was killed has left, too: every access to that is an error.
Result<void> unmount_all() {
  TRY_AS(const std::string text, sys::read_file("/proc/self/mountinfo"));
  for (const std::string_view line : split(text, '\n')) {
    const auto m = sys::parse_mount(line);
    if (!m || m->point != mount_point()) continue;
    if (m->type != "fuse.vzprocfs")
      return fail(Code::mounted, "something else is mounted on '{}' ({})", mount_point(), m->type);
    TRY(sys::umount_lazy(mount_point()));
  }
  return {};
}

Result<std::unique_ptr<ProcServer>> begin_serving(int pid_file) {
  TRY(unmount_all());
  TRY(sys::make_dirs(mount_point()));
  auto server = ProcServer::mount(mount_point());
  if (!server) {
    (void)sys::remove_dir(mount_point());
    return server;
  }
  const std::string pid = fmt::format("{}\n", ::getpid());
  if (::ftruncate(pid_file, 0) != 0 || ::pwrite(pid_file, pid.data(), pid.size(), 0) < 0)
    log::warn("{}: {}", kPidFile, Error::sys(errno, "write").text);
  return server;
}

// Load averages are taken meanwhile: this is the only process that is there all the time. Without them it serves, too.
Result<void> serve(ProcServer& server) {
  auto sampler = runtime::LoadSampler::open({});
  ::malloc_trim(0);  // the kernel's types were megabytes
  if (!sampler) log::warn("no load averages of containers: {}", sampler.error().text);
  const auto sample = [&] {
    if (const auto sampled = sampler->sample(); !sampled) log::error("Error: load averages: {}", sampled.error().text);
  };
  const auto served = server.serve(sampler ? std::function<void()>(sample) : nullptr, runtime::kLoadPeriod);
  if (const auto gone = runtime::forget_loads({}); !gone) log::error("Error: {}", gone.error().text);
  return served;
}

constexpr std::string_view kServed = "served", kServedAlready = "already";

// What it writes to READY is one of these words or what went wrong.
int daemon(int pid_file, int ready) {
  struct ::flock lock = whole_file();
  if (::fcntl(pid_file, F_SETLK, &lock) != 0) {
    (void)sys::write_all(ready, kServedAlready);
    return 0;
  }
  auto server = begin_serving(pid_file);
  (void)sys::write_all(ready, server ? kServed : server.error().text);
  sys::UniqueFd(ready).reset();
  if (!server) return 1;
  if (const auto host = runtime::load_host(); host && host->conf.logging) log::settings().file = host->conf.logfile;
  const Result<void> served = serve(**server);
  if (!served) log::error("Error: {}", served.error().text);
  if (const auto gone = unmount_all(); !gone) log::error("Error: {}", gone.error().text);
  (void)sys::remove_dir(mount_point());
  ::_exit(served ? 0 : 1);
}

Result<int> start(const std::vector<std::string>&) {
  TRY_AS(const sys::UniqueFd pid_file, open_pid_file());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  const sys::UniqueFd read_end(ends[0]);
  sys::UniqueFd ready(ends[1]);
  TRY_AS(const sys::Forked child, sys::fork_process());
  if (child.pid == 0) {
    sys::detach({pid_file.get(), ready.get()});
    if (::chdir("/") != 0) ::_exit(1);
    ::umask(022);
    ::_exit(daemon(pid_file.get(), ready.release()));
  }
  ready.reset();
  TRY_AS(const std::string said, sys::read_fd(read_end.get()));
  if (said == kServed || said == kServedAlready) return 0;
  return fail(Code::mount_failed, "{}", said.empty() ? "the daemon ended" : said);
}

Result<int> stop(const std::vector<std::string>&) {
  TRY_AS(const sys::UniqueFd pid_file, open_pid_file());
  if (const pid_t pid = serving(pid_file.get()); pid > 0) {
    TRY_AS(const sys::UniqueFd daemon, sys::open_pidfd(pid));
    for (const auto& [signal, patience] : {std::pair{SIGTERM, 5s}, {SIGKILL, 5s}}) {
      if (serving(pid_file.get()) != pid) break;
      TRY(sys::send_signal(daemon.get(), signal));
      if (sys::wait_ended(daemon.get(), patience).value_or(false)) break;
    }
  }
  TRY(unmount_all());
  TRY(sys::remove_dir(mount_point()));
  TRY(runtime::forget_loads({}));
  return 0;
}

Result<int> status(const std::vector<std::string>&) {
  const auto pid_file = sys::open(kPidFile, O_RDONLY | O_NOFOLLOW);
  const bool served = pid_file && serving(pid_file->get()) != 0;
  fmt::print("{} is {}\n", mount_point(), served ? "served" : "not served");
  return served ? 0 : kNotServed;
}

// ---- without it ---------------------------------------------------------------------------------------------------

Result<runtime::ProcNode> find(const std::string& path, bool dir) {
  const auto node = runtime::proc_find({}, path);
  if (!node || S_ISDIR(node->mode) != dir)
    return fail(Code::not_found, "There is no {} '{}'", dir ? "directory" : "file", printable(path));
  return *node;
}

Result<int> cat(const std::vector<std::string>& files) {
  if (files.empty()) return fail(Code::usage, "which files? See vzprocfs --help");
  for (const std::string& file : files) {
    TRY_AS(const runtime::ProcNode node, find(file, false));
    TRY_AS(const std::string text, runtime::proc_text(node.number), "{}", printable(file));
    TRY(sys::write_all(STDOUT_FILENO, text));
  }
  return 0;
}

Result<int> list(const std::vector<std::string>& words) {
  if (words.size() > 1) return fail(Code::usage, "one directory, please");
  TRY_AS(const runtime::ProcNode dir, find(words.empty() ? "/" : words[0], true));
  for (const runtime::ProcNode& node : runtime::proc_list({}, dir.number))
    fmt::print("{}{}\n", node.name, S_ISDIR(node.mode) ? "/" : "");
  return 0;
}

struct Verb {
  std::string_view name;
  bool takes_words;
  Result<int> (*run)(const std::vector<std::string>& words);
};
constexpr Verb kVerbs[] = {
    {"start", false, start}, {"stop", false, stop}, {"status", false, status}, {"cat", true, cat}, {"ls", true, list}};

Result<int> run(const Parsed& options) {
  const std::string word = options.rest.empty() ? "" : options.rest[0];
  const auto verb = std::find_if(std::begin(kVerbs), std::end(kVerbs), [&](const Verb& v) { return v.name == word; });
  if (verb == std::end(kVerbs) || (!verb->takes_words && options.rest.size() > 1))
    return fail(Code::usage, "start, stop, status, cat or ls expected; see vzprocfs --help");
  return verb->run({options.rest.begin() + 1, options.rest.end()});
}

}  // namespace

}  // namespace vz::cli

int main(int argc, char** argv) {
  using namespace vz::cli;
  return run_tool({.name = "vzprocfs", .usage = kUsage, .options = kOptions, .run = run, .for_root = true}, argc, argv);
}
