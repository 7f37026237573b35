#include "migrate/image_sender.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "checkpoint/checkpoint.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

bool is_log(const std::string& name) { return name.size() > 4 && name.compare(name.size() - 4, 4, ".log") == 0; }

// The names in one read of an inotify descriptor (inotify(7)). A queue that overflowed loses some: those go at the end.
std::vector<std::string> closed_files(int fd) {
  alignas(inotify_event) char buf[16384];
  std::vector<std::string> names;
  const ssize_t size = ::read(fd, buf, sizeof buf);
  for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(inotify_event)) <= size;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buf + at);
    if (event->len) names.emplace_back(event->name);
    at += static_cast<ssize_t>(sizeof *event + event->len);
  }
  return names;
}

}  // namespace

Result<void> ImageSender::send_rest(const std::string& name) {
  constexpr size_t kChunk = 100 * 1024;  // larger ones cost malloc a mapping of fresh pages each, here and there
  TRY_AS(sys::UniqueFd fd, sys::open(dir_ + "/" + name, O_RDONLY));
  const auto [entry, is_new] = sent_.try_emplace(name, 0);
  std::string chunk(kChunk, 0);
  for (bool must = is_new;; must = false) {  // an empty file is a file
    const ssize_t n = ::pread(fd.get(), chunk.data(), chunk.size(), entry->second);
    if (n < 0) return fail_sys(errno, "read '{}'", name);
    if (n == 0 && !must) return {};
    TRY(wire_.send("image " + name, {chunk.data(), static_cast<size_t>(n)}));
    entry->second += n;
  }
}

Result<void> ImageSender::send_all() {
  TRY_AS(auto names, sys::list_dir(dir_));
  std::stable_partition(names.begin(), names.end(), [](const std::string& n) { return n != checkpoint::kFirstImage; });
  for (const std::string& name : names)
    if (!is_log(name)) TRY(send_rest(name));
  return {};
}

Result<void> ImageSender::follow(int enough) {
  const sys::UniqueFd watch(::inotify_init1(IN_CLOEXEC));
  if (!watch || ::inotify_add_watch(watch.get(), dir_.c_str(), IN_CLOSE_WRITE) < 0)
    return fail_sys(errno, "watch '{}'", dir_);
  for (;;) {
    pollfd p[2] = {{watch.get(), POLLIN, 0}, {enough, POLLIN, 0}};
    if (::poll(p, 2, -1) < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (p[1].revents) return send_all();
    if (!p[0].revents) continue;
    for (const std::string& name : closed_files(watch.get()))
      if (name != checkpoint::kFirstImage && !is_log(name)) TRY(send_rest(name));
  }
}

}  // namespace vz::migrate
