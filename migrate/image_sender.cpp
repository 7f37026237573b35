#include "migrate/image_sender.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>

#include "checkpoint/checkpoint.h"
#include "checkpoint/criu_images.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

constexpr std::string_view kGoAhead = "all-still.log";  // no image

bool is_image(const std::string& dir, const std::string& name) {
  struct stat st {};
  return !name.ends_with(".log") && ::lstat(fmt::format("{}/{}", dir, name).c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

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
    TRY(wire_.send("image " + prefix_ + name, {chunk.data(), static_cast<size_t>(n)}));
    entry->second += n;
    sum_ += static_cast<size_t>(n);
    if (progress_) progress_->report(sum_);
    pace_.spend(static_cast<size_t>(n));
  }
}

Result<void> ImageSender::send_shown(const std::string& what) {
  TRY_AS(const auto names, sys::list_dir(dir_));
  uint64_t total = 0;
  for (const std::string& name : names)
    if (const auto st = sys::stat(dir_ + "/" + name); st && is_image(dir_, name))
      total += static_cast<uint64_t>(st->st_size);
  Progress progress;
  TRY(progress.begin(what, total));
  progress_ = &progress;
  auto sent = send_all();
  progress_ = nullptr;
  return sent;
}

// The list PAGEMAP and its pages count as sent.
Result<void> ImageSender::pass_over(const std::string& pagemap) {
  TRY_AS(const std::string list, sys::read_file(dir_ + "/" + pagemap));
  TRY_AS(const uint64_t id, checkpoint::pages_of(list));
  for (const std::string& name : {pagemap, fmt::format("pages-{}.img", id)}) {
    TRY_AS(const struct ::stat st, sys::stat(dir_ + "/" + name));
    sent_[name] = st.st_size;
  }
  return {};
}

// criu closes pages before the list that tells whose they are.
Result<void> ImageSender::send_closed(const std::string& name) {
  if (!shared_ || shared_->empty()) return send_rest(name);
  if (name.starts_with("pages-")) return {};
  if (shared_->knows(name)) return pass_over(name);
  TRY(send_rest(name));
  if (!name.starts_with("pagemap-")) return {};
  TRY_AS(const std::string list, sys::read_file(dir_ + "/" + name));
  TRY_AS(const uint64_t id, checkpoint::pages_of(list));
  return send_rest(fmt::format("pages-{}.img", id));
}

Result<void> ImageSender::send_all() {
  TRY_AS(auto names, sys::list_dir(dir_));
  for (const std::string& name : names)
    if (shared_ && shared_->knows(name)) TRY(pass_over(name));
  std::stable_partition(names.begin(), names.end(), [](const std::string& n) { return n != checkpoint::kFirstImage; });
  for (const std::string& name : names)
    if (is_image(dir_, name)) TRY(send_rest(name));
  return {};
}

Result<void> ImageSender::send_changes() {
  const auto changes = std::exchange(changes_, nullptr);
  return changes ? changes() : Result<void>();
}

Result<void> ImageSender::go_ahead() const {
  if (!changes_) return {};
  TRY_AS(const sys::UniqueFd mark, sys::open(fmt::format("{}/{}", dir_, kGoAhead), O_WRONLY | O_CREAT | O_EXCL, 0600));
  return {};
}

Result<void> ImageSender::follow(int enough) {
  const sys::UniqueFd watch(::inotify_init1(IN_CLOEXEC));
  if (!watch || ::inotify_add_watch(watch.get(), dir_.c_str(), IN_CLOSE_WRITE) < 0)
    return fail_sys(errno, "watch '{}'", dir_);
  for (;;) {
    pollfd p[2] = {{watch.get(), POLLIN, 0}, {enough, POLLIN, 0}};
    if (::poll(p, 2, -1) < 0 && errno != EINTR) return fail_sys(errno, "poll");
    if (p[1].revents) {
      TRY(send_changes());
      return send_all();
    }
    if (!p[0].revents) continue;
    for (const std::string& name : closed_files(watch.get()))
      if (name == kGoAhead)
        TRY(send_changes());
      else if (name != checkpoint::kFirstImage && is_image(dir_, name))
        TRY(send_closed(name));
  }
}

}  // namespace vz::migrate
