#include "checkpoint/lazy_pages.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/strings.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/criu.h"
#include "sys/capabilities.h"
#include "sys/files.h"

namespace vz::checkpoint {

namespace {

using namespace std::chrono_literals;

std::string pid_file(const std::string& dir) { return dir + "/lazy.pid"; }
std::string own_images(const std::string& dir) { return dir + "/lazy"; }

std::string sysctl(const std::string& path) {
  return std::string(trim(sys::read_file("/proc/sys/" + path, 64).value_or("")));
}

// The daemon on record, if it lives.
Result<sys::UniqueFd> find_daemon(const std::string& dir) {
  const std::string text = sys::read_file(pid_file(dir), 64).value_or("");
  const auto parts = words(text);
  const auto pid = parts.size() == 2 ? parse_u64(parts[0]) : std::nullopt;
  if (!pid || *pid == 0 || *pid > INT32_MAX) return fail(Code::not_found, "no daemon");
  TRY_AS(sys::UniqueFd pidfd, sys::open_pidfd(static_cast<pid_t>(*pid)));
  if (sys::start_time(static_cast<pid_t>(*pid)) != parse_u64(parts[1])) return fail(Code::not_found, "no daemon");
  return pidfd;
}

}  // namespace

std::string cannot_fetch_pages() {
  // A fault of the kernel's own, in a system call of the guest, has to wait for its page as well.
  return sysctl("vm/unprivileged_userfaultfd") == "1" ? "" : "vm.unprivileged_userfaultfd is not 1 there (sysctl(8))";
}

std::string cannot_keep_pages() {
  // criu keeps frozen pages in pipes, far more than a user may have.
  if (sys::has_capability("sys_resource") || sysctl("fs/pipe-user-pages-soft") == "0") return "";
  return "fs.pipe-user-pages-soft is not 0 here, and CAP_SYS_RESOURCE is missing (sysctl(8))";
}

LazyPages::~LazyPages() {
  if (daemon_.pid <= 0 || released_) return;
  (void)sys::send_signal(daemon_.pidfd.get(), SIGKILL);
  (void)sys::wait_child(daemon_.pid);
}

Result<void> LazyPages::start(const runtime::Host& host, const std::string& dir, int socket, int other) {
  dir_ = dir;
  TRY(sys::make_dirs(own_images(dir), 0700));
  const std::string fifo = fmt::format("{}/{}", own_images(dir), kFirstImage);
  if (::mkfifo(fifo.c_str(), 0600) != 0) return fail_sys(errno, "make '{}'", fifo);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  ready_.reset(ends[0]);
  const sys::UniqueFd status(ends[1]);
  TRY_AS(const std::string criu, criu_program(host));
  sys::Program program{.argv = {criu, "lazy-pages", "--page-server", "--ps-socket", std::to_string(socket),
                                "--status-fd", std::to_string(status.get()), "-D", own_images(dir), "-W", dir, "-o",
                                "lazy.log", "-v1"}};  // a warning for every page otherwise
  program.inherit = {socket, other, status.get()};
  program.before_exec = []() -> Result<void> {
    ::setsid();
    return {};
  };
  TRY_AS(daemon_, sys::start(program));
  return note_lazy_pages(dir, daemon_.pid);
}

Result<void> LazyPages::feed(std::string_view inventory) const {
  TRY_AS(const auto names, sys::list_dir(dir_));
  for (const std::string& name : names)
    if (name.ends_with(".img") && name != kFirstImage)
      if (::symlink(("../" + name).c_str(), fmt::format("{}/{}", own_images(dir_), name).c_str()) != 0)
        return fail_sys(errno, "link '{}'", name);
  TRY_AS(sys::UniqueFd fifo, sys::open(fmt::format("{}/{}", own_images(dir_), kFirstImage), O_WRONLY));
  TRY(sys::write_all(fifo.get(), inventory));
  fifo.reset();
  pollfd p[2] = {{ready_.get(), POLLIN, 0}, {daemon_.pidfd.get(), POLLIN, 0}};
  char byte = 1;
  if (::poll(p, 2, 10000) > 0 && (p[0].revents & POLLIN) && ::read(ready_.get(), &byte, 1) == 1) return {};
  return fail(Code::restore_failed, "criu lazy-pages does not start: {}",
              first_error(sys::read_file(dir_ + "/lazy.log", 1u << 20).value_or("")));
}

Result<void> LazyPages::finish() {
  TRY(sys::wait_ended(daemon_.pidfd.get(), -1ms));
  TRY_AS(const sys::ExitStatus status, sys::wait_child(std::exchange(daemon_.pid, -1)));
  if (status.ok()) return {};
  return fail(Code::peer, "criu lazy-pages failed ({}): {}", status.text(),
              first_error(sys::read_file(dir_ + "/lazy.log", 16u << 20).value_or("")));
}

Result<void> note_lazy_pages(const std::string& dir, pid_t pid) {
  return sys::replace_file(pid_file(dir), fmt::format("{} {}", pid, sys::start_time(pid).value_or(0)), 0600);
}

Result<void> end_lazy_pages(const std::string& dir) {
  const auto daemon = find_daemon(dir);
  if (!daemon) return {};
  TRY(sys::send_signal(daemon->get(), SIGKILL));
  TRY(sys::wait_ended(daemon->get(), 5s));
  return {};
}

Result<void> await_lazy_pages(const std::string& dir) {
  const auto daemon = find_daemon(dir);
  if (daemon) TRY(sys::wait_ended(daemon->get(), -1ms));
  return {};
}

}  // namespace vz::checkpoint
