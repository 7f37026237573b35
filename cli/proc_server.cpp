#define FUSE_USE_VERSION 31

#include "cli/proc_server.h"

#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <list>
#include <map>
#include <vector>

#include "base/log.h"
#include "runtime/proc_tree.h"
#include "sys/files.h"
#include "sys/process.h"
#include "sys/unique_fd.h"

namespace vz::cli {

namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kPatience = std::chrono::seconds(10);  // of a reader
constexpr size_t kMaxChildren = 8;                    // at work at a time, hanging ones included
constexpr size_t kMaxHandles = 4096;
constexpr size_t kMaxText = 64u << 20;

struct ::stat attributes(const runtime::ProcNode& node) {
  struct ::stat st {};
  st.st_ino = node.number;
  st.st_mode = node.mode;
  st.st_nlink = S_ISDIR(node.mode) ? 2 : 1;
  st.st_mtime = st.st_atime = st.st_ctime = ::time(nullptr);
  return st;
}

// ---- a text in the making -----------------------------------------------------------------------------------------

struct Job {
  fuse_req_t request;
  uint64_t handle, number;
  size_t size;
  off_t offset;
  Clock::time_point deadline;
  pid_t child = -1;  // not begun
  sys::UniqueFd pipe = sys::UniqueFd();
  std::string made = {};
};

// The text, and behind it a byte: 0 or the error.
[[noreturn]] void make_text(uint64_t number, int to) {
  const auto text = runtime::proc_text(number);
  if (!text) log::error("Error: {}", text.error().text);
  const bool gone = !text && (text.error().code == Code::not_found || text.error().code == Code::no_ct_config);
  std::string out = text ? *text : std::string();
  out += static_cast<char>(text ? 0 : gone ? ENOENT : EIO);
  ::_exit(sys::write_all(to, out) ? 0 : 1);
}

class Fuse final : public ProcServer {
 public:
  ~Fuse() override {
    if (session_) ::fuse_session_destroy(session_);
  }

  Result<void> open(const std::string& point);
  Result<void> serve(const std::function<void()>& work, std::chrono::milliseconds period) override;

  // Of the requests.
  void lookup(fuse_req_t request, uint64_t dir, const char* name);
  void describe(fuse_req_t request, uint64_t number);
  void list(fuse_req_t request, uint64_t dir, size_t size, off_t offset);
  void open_file(fuse_req_t request, uint64_t number, fuse_file_info& info);
  void read(fuse_req_t request, uint64_t number, size_t size, off_t offset, uint64_t handle);
  void release(fuse_req_t request, uint64_t handle);

 private:
  Result<void> begin(Job& job);
  void begin_waiting();
  void go_on(Job& job);
  void finish(Job& job, int error);
  void give_up_late();
  void answer_request();
  bool take_signals();
  int time_to_deadline(Clock::time_point first) const;

  state::Paths paths_;
  fuse_session* session_ = nullptr;
  fuse_buf buffer_{};
  sys::UniqueFd signals_;
  std::map<uint64_t, std::optional<std::string>> handles_;  // what was made at the last read of a beginning
  uint64_t next_handle_ = 1;
  std::list<Job> jobs_;
  size_t children_ = 0;
};

// ---- requests -----------------------------------------------------------------------------------------------------

Fuse& server(fuse_req_t request) { return *static_cast<Fuse*>(::fuse_req_userdata(request)); }

// Nothing is remembered by the kernel: containers come and go.
constexpr double kForgotten = 0;

void Fuse::lookup(fuse_req_t request, uint64_t dir, const char* name) {
  const auto node = runtime::proc_child(paths_, dir, name);
  if (!node) {
    ::fuse_reply_err(request, ENOENT);
    return;
  }
  fuse_entry_param entry{};
  entry.ino = node->number;
  entry.attr = attributes(*node);
  entry.attr_timeout = entry.entry_timeout = kForgotten;
  ::fuse_reply_entry(request, &entry);
}

void Fuse::describe(fuse_req_t request, uint64_t number) {
  const auto node = runtime::proc_node(paths_, number);
  if (!node) {
    ::fuse_reply_err(request, ENOENT);
    return;
  }
  const struct ::stat st = attributes(*node);
  ::fuse_reply_attr(request, &st, kForgotten);
}

// A place in the directory is the number of what stands before it, so that it holds when containers end meanwhile.
void Fuse::list(fuse_req_t request, uint64_t dir, size_t size, off_t offset) {
  constexpr off_t kDots = 2;
  std::vector<char> out(size);
  size_t used = 0;
  const auto add = [&](const std::string& name, uint64_t number, mode_t mode, off_t place) {
    if (place <= offset) return true;
    struct ::stat st {};
    st.st_ino = number;
    st.st_mode = mode;
    const size_t n = ::fuse_add_direntry(request, out.data() + used, size - used, name.c_str(), &st, place);
    if (n > size - used) return false;
    used += n;
    return true;
  };
  bool room = add(".", dir, S_IFDIR, 1) && add("..", runtime::kProcRoot, S_IFDIR, kDots);
  for (const runtime::ProcNode& n : runtime::proc_list(paths_, dir))
    room = room && add(n.name, n.number, n.mode, static_cast<off_t>(n.number) + kDots);
  ::fuse_reply_buf(request, out.data(), used);
}

void Fuse::open_file(fuse_req_t request, uint64_t number, fuse_file_info& info) {
  const auto node = runtime::proc_node(paths_, number);
  const int error = !node                                  ? ENOENT
                    : S_ISDIR(node->mode)                  ? EISDIR
                    : (info.flags & O_ACCMODE) != O_RDONLY ? EROFS
                    : handles_.size() >= kMaxHandles       ? ENFILE
                                                           : 0;
  if (error) {
    ::fuse_reply_err(request, error);
    return;
  }
  info.fh = next_handle_++;
  info.direct_io = 1;
  handles_.emplace(info.fh, std::nullopt);
  if (::fuse_reply_open(request, &info) != 0) handles_.erase(info.fh);  // it was interrupted: nobody will close it
}

void reply_part(fuse_req_t request, const std::string& text, size_t size, off_t offset) {
  const size_t from = std::min(text.size(), static_cast<size_t>(std::max<off_t>(offset, 0)));
  ::fuse_reply_buf(request, text.data() + from, std::min(size, text.size() - from));
}

void Fuse::read(fuse_req_t request, uint64_t number, size_t size, off_t offset, uint64_t handle) {
  const auto open = handles_.find(handle);
  if (offset > 0 && open != handles_.end() && open->second) {
    reply_part(request, *open->second, size, offset);
    return;
  }
  jobs_.push_back({request, handle, number, size, offset, Clock::now() + kPatience});
}

void Fuse::release(fuse_req_t request, uint64_t handle) {
  handles_.erase(handle);
  ::fuse_reply_err(request, 0);
}

// ---- jobs ---------------------------------------------------------------------------------------------------------

Result<void> Fuse::begin(Job& job) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  sys::UniqueFd out(ends[1]);
  job.pipe.reset(ends[0]);
  TRY_AS(const sys::Forked child, sys::fork_process());
  if (child.pid == 0) {
    // With us the last holder of it must go, or readers would wait for a dead daemon.
    ::close(::fuse_session_fd(session_));
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    make_text(job.number, out.get());
  }
  job.child = child.pid;
  ++children_;
  (void)::fcntl(job.pipe.get(), F_SETFL, O_NONBLOCK);
  return {};
}

void Fuse::begin_waiting() {
  for (auto job = jobs_.begin(); job != jobs_.end() && children_ < kMaxChildren;) {
    const auto now = job++;
    if (now->child >= 0) continue;
    if (const auto begun = begin(*now); !begun) {
      log::error("Error: {}", begun.error().text);
      finish(*now, EIO);
    }
  }
}

void Fuse::finish(Job& job, int error) {
  if (error) {
    ::fuse_reply_err(job.request, error);
  } else {
    reply_part(job.request, job.made, job.size, job.offset);
    if (const auto open = handles_.find(job.handle); open != handles_.end()) open->second = std::move(job.made);
  }
  jobs_.remove_if([&](const Job& j) { return &j == &job; });
}

void Fuse::go_on(Job& job) {
  char part[65536];
  const ssize_t n = ::read(job.pipe.get(), part, sizeof part);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n > 0 && job.made.size() < kMaxText) {
    job.made.append(part, static_cast<size_t>(n));
    return;
  }
  int error = EIO;
  if (n == 0 && !job.made.empty()) {
    error = job.made.back();
    job.made.pop_back();
  }
  finish(job, error);
}

// One that cannot even be killed keeps its place among the children; with all places taken, readers get this error.
void Fuse::give_up_late() {
  const auto now = Clock::now();
  for (auto job = jobs_.begin(); job != jobs_.end();) {
    const auto late = job++;
    if (late->deadline > now) continue;
    if (late->child > 0) ::kill(late->child, SIGKILL);
    log::error("Error: a text was not made within {} s", kPatience.count());
    finish(*late, ETIMEDOUT);
  }
}

// ---- life ---------------------------------------------------------------------------------------------------------

const fuse_lowlevel_ops& operations() {
  static const fuse_lowlevel_ops kOperations = [] {
    fuse_lowlevel_ops ops{};
    ops.lookup = [](fuse_req_t r, fuse_ino_t dir, const char* name) { server(r).lookup(r, dir, name); };
    ops.getattr = [](fuse_req_t r, fuse_ino_t number, fuse_file_info*) { server(r).describe(r, number); };
    ops.readdir = [](fuse_req_t r, fuse_ino_t dir, size_t size, off_t offset, fuse_file_info*) {
      server(r).list(r, dir, size, offset);
    };
    ops.open = [](fuse_req_t r, fuse_ino_t number, fuse_file_info* info) { server(r).open_file(r, number, *info); };
    ops.read = [](fuse_req_t r, fuse_ino_t number, size_t size, off_t offset, fuse_file_info* info) {
      server(r).read(r, number, size, offset, info->fh);
    };
    ops.release = [](fuse_req_t r, fuse_ino_t, fuse_file_info* info) { server(r).release(r, info->fh); };
    return ops;
  }();
  return kOperations;
}

Result<void> Fuse::open(const std::string& point) {
  char name[] = "vzprocfs", flag[] = "-o",
       options[] = "ro,nosuid,nodev,noexec,allow_other,default_permissions,fsname=vz,subtype=vzprocfs";
  char* words[] = {name, flag, options, nullptr};
  fuse_args args{3, words, 0};
  session_ = ::fuse_session_new(&args, &operations(), sizeof(fuse_lowlevel_ops), this);
  ::fuse_opt_free_args(&args);
  if (!session_) return fail(Code::unsupported, "libfuse does not take our options");
  // libfuse would try a program of its own, with words of its own.
  if (const sys::UniqueFd device(::open("/dev/fuse", O_RDWR | O_CLOEXEC)); !device)
    return Error::sys(errno, "this host has no FUSE: open '/dev/fuse'", Code::unsupported);
  if (::fuse_session_mount(session_, point.c_str()) != 0)
    return fail(Code::mount_failed, "a FUSE file system cannot be mounted on '{}'", point);
  sigset_t set;
  ::sigemptyset(&set);
  for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaddset(&set, s);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) return fail_sys(errno, "signalfd");
  (void)::fcntl(::fuse_session_fd(session_), F_SETFL, O_NONBLOCK);
  return {};
}

// False: to end.
bool Fuse::take_signals() {
  signalfd_siginfo info{};
  bool go = true;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info) go = go && info.ssi_signo == SIGCHLD;
  while (::waitpid(-1, nullptr, WNOHANG) > 0) --children_;
  return go;
}

void Fuse::answer_request() {
  if (::fuse_session_receive_buf(session_, &buffer_) > 0) ::fuse_session_process_buf(session_, &buffer_);
}

int Fuse::time_to_deadline(Clock::time_point first) const {
  for (const Job& j : jobs_) first = std::min(first, j.deadline);
  return first == Clock::time_point::max() ? -1 : static_cast<int>(sys::time_left(first).count()) + 1;
}

Result<void> Fuse::serve(const std::function<void()>& work, std::chrono::milliseconds period) {
  auto work_at = work ? Clock::now() + period : Clock::time_point::max();
  while (!::fuse_session_exited(session_)) {
    begin_waiting();
    std::vector<pollfd> fds = {{signals_.get(), POLLIN, 0}, {::fuse_session_fd(session_), POLLIN, 0}};
    std::vector<Job*> jobs;
    for (Job& j : jobs_) {
      if (j.child < 0) continue;
      jobs.push_back(&j);
      fds.push_back({j.pipe.get(), POLLIN, 0});
    }
    if (::poll(fds.data(), fds.size(), time_to_deadline(work_at)) < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (!take_signals()) break;
    for (size_t i = 0; i < jobs.size(); ++i)
      if (fds[i + 2].revents) go_on(*jobs[i]);
    give_up_late();
    if (fds[1].revents) answer_request();
    if (Clock::now() < work_at) continue;
    work();
    work_at += period;
    if (work_at < Clock::now()) work_at = Clock::now() + period;
  }
  for (const Job& j : jobs_)
    if (j.child > 0) ::kill(j.child, SIGKILL);
  return {};
}

}  // namespace

Result<std::unique_ptr<ProcServer>> ProcServer::mount(const std::string& point) {
  auto fuse = std::make_unique<Fuse>();
  TRY(fuse->open(point));
  return std::unique_ptr<ProcServer>(std::move(fuse));
}

}  // namespace vz::cli
