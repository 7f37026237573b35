#include "migrate/progress.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "base/log.h"
#include "base/strings.h"
#include "migrate/events.h"
#include "sys/files.h"

namespace vz::migrate {

namespace {

constexpr double kMiB = 1024.0 * 1024.0;
constexpr std::string_view kClear = "\r\x1b[K";
constexpr std::chrono::milliseconds kFirst{500}, kPause{200}, kEventPause{1000};  // rsync reports each file

bool somebody_looks() {
  const log::Settings& s = log::settings();
  return ::isatty(1) && !s.quiet && s.verbosity >= 0 && !s.name_ct;
}

void put(std::string_view text) { (void)sys::write_all(1, text); }

using Clock = std::chrono::steady_clock;
using Show = std::function<void(uint64_t done, Clock::duration took)>;

// Reads what comes out of the copy, and shows it from time to time.
void follow(int pipe, std::chrono::milliseconds pause, const Show& show) {
  const auto began = Clock::now();
  auto next = began + kFirst;
  char buf[65536];
  for (;;) {
    const ssize_t n = ::read(pipe, buf, sizeof buf);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    const auto done = bytes_done({buf, static_cast<size_t>(n)});
    const auto now = Clock::now();
    if (!done || now < next) continue;
    show(*done, now - began);
    next = now + pause;
  }
}

Result<void> draw(int pipe, std::string_view what, uint64_t total) {
  follow(pipe, kPause, [&](uint64_t done, Clock::duration took) {
    put(std::string(kClear) + progress_line(what, done, total, took));
  });
  put(kClear);
  return {};
}

Result<void> tell_progress(int pipe, std::string_view what, uint64_t total) {
  follow(pipe, kEventPause, [&](uint64_t done, Clock::duration) {
    tell("progress", {{"what", what}, {"bytes", done}, {"of", std::max(total, done)}});
  });
  return {};
}

}  // namespace

std::optional<uint64_t> bytes_done(std::string_view output) {
  std::optional<uint64_t> last;
  for (const std::string_view line : split(output, '\r')) {
    const auto parts = words(line);
    if (parts.size() >= 2 && parts[1].ends_with('%'))
      if (const auto bytes = parse_u64(parts[0])) last = bytes;
  }
  return last;
}

std::string progress_line(std::string_view what, uint64_t done, uint64_t total, std::chrono::duration<double> took) {
  const double rate = took.count() > 0 ? static_cast<double>(done) / took.count() : 0;
  const double mib = static_cast<double>(done) / kMiB;
  if (total == 0) return fmt::format("{}: {:.0f} MiB, {:.1f} MiB/s", what, mib, rate / kMiB);
  total = std::max(total, done);  // files may have grown
  const auto left = rate > 0 ? static_cast<uint64_t>(static_cast<double>(total - done) / rate) : 0;
  return fmt::format("{}: {} %, {:.0f} of {:.0f} MiB, {:.1f} MiB/s, {}:{:02} left", what,
                     done * 100 / std::max<uint64_t>(total, 1), mib, static_cast<double>(total) / kMiB, rate / kMiB,
                     left / 60, left % 60);
}

Result<void> Progress::begin(std::string what, uint64_t total) {
  if (!events_wanted() && !somebody_looks()) return {};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_sys(errno, "pipe");
  const sys::UniqueFd read_end(ends[0]);
  pipe_.reset(ends[1]);
  return drawer_.begin([&](int) {
    pipe_.reset();  // its end is the end of the copy
    return events_wanted() ? tell_progress(read_end.get(), what, total) : draw(read_end.get(), what, total);
  });
}

std::optional<int> Progress::fd() const { return pipe_ ? std::optional(pipe_.get()) : std::nullopt; }

void Progress::report(uint64_t done) const {
  if (pipe_) (void)sys::write_all(pipe_.get(), fmt::format("\r{} 0%", done));
}

void Progress::end() {
  if (!pipe_) return;
  pipe_.reset();
  (void)drawer_.finish();
}

}  // namespace vz::migrate
